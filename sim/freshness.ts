// What the freshness contract claims while the world works, held against the log: whatever had arrived in raw by
// `data_through` has been refined, what an open transaction hides included; and an answer that depends on a partition is
// refused once something has waited there for longer than the bound. Read from the store's progress, as the API does.
import { SqliteStore } from '../platform/store/sqlite/store.ts'
import { dataThrough, judge, partitionsFor } from '../query-api/core/freshness.ts'
import type { Progress } from '../platform/store/port.ts'
import { CLEAN, LATE, RAW } from '../schemas/topics.ts'
import type { World } from './world.ts'

const EVERY_MS = 500
/** The API's default. */
const BOUND_MS = 5_000

/** Looks until the clock stops. @returns lets go of the store */
export function watchFreshness(world: World): () => Promise<void> {
  const store = new SqliteStore({ file: world.config.SQLITE_FILE, access: 'read' })
  // A clock that steps makes times of the log incomparable.
  if (!world.scenario.chaos.includes('clock-step')) void lookRepeatedly(world, store)
  return () => store.close()
}

async function lookRepeatedly(world: World, store: SqliteStore): Promise<void> {
  for (;;) {
    await world.clock.sleep(EVERY_MS)
    // There is no store until a sink has created it.
    const progress = await store.read((view) => view.progress()).catch(() => [])
    look(world, progress)
  }
}

function look(world: World, progress: readonly Progress[]): void {
  const { broker, clock, config, scenario } = world
  const now = clock.now()
  const all = partitionsFor(progress, [CLEAN, LATE], null)
  let isAnyFresh = false
  let isHeldOneRefused = false
  for (let partition = 0; partition < scenario.partitions; partition += 1) {
    const at = { topic: RAW, partition }
    const throughMs = dataThrough(all.filter((one) => one.partition === partition))
    const isFresh = judge(now, throughMs, null, BOUND_MS).fresh
    const waiting = broker.arrivals(at, broker.committed(config.REFINE_GROUP, at) ?? 0)
    const isHeld = waiting.some(({ isOpen }) => isOpen)
    if (isFresh && !isHeld) isAnyFresh = true
    if (!isFresh && throughMs !== null && isHeld) isHeldOneRefused = true
    const first = waiting[0]
    if (first === undefined || throughMs === null) continue
    if (first.atMs < throughMs)
      world.falseClaims.push(
        `data_through of partition ${partition} is ${throughMs}; raw offset ${first.offset} arrived at ${first.atMs} and is not refined`,
      )
    if (isFresh && now - first.atMs > BOUND_MS)
      world.falseClaims.push(
        `partition ${partition} passes for fresh; raw offset ${first.offset} waits for ${now - first.atMs} ms`,
      )
  }
  if (isHeldOneRefused) world.sights.add('answers are refused while a transaction is open')
  if (isHeldOneRefused && isAnyFresh) world.sights.add('answers are refused for its partition alone')
}
