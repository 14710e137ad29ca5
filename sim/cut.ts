// Retention (or DeleteRecords) that removes what the next stage has not read. Nothing can undo that, so it must be
// said: the reader stops with an error that names the place, and so does the audit; what is left is still in
// order.
import { SqliteStore } from '../platform/store/sqlite/store.ts'
import { CLEAN, EXTENTS, RAW } from '../schemas/topics.ts'
import { auditOf, checkRemains, type Failure } from './checks/all.ts'
import { committed } from './checks/evidence.ts'
import { pick, whole } from './random.ts'
import type { Cut } from './scenario.ts'
import { atTransactions } from './settle.ts'
import type { World } from './world.ts'

export interface Removal {
  readonly topic: string
  readonly partition: number
  /** The first offset that was not read. */
  readonly from: number
  /** The log's start since then. */
  readonly to: number
}

const TOPIC: Readonly<Record<Cut, string>> = { raw: RAW, clean: CLEAN, extents: EXTENTS }
const READERS: Readonly<Record<Cut, RegExp>> = { raw: /^refine/, clean: /^sink/, extents: /^sequencer/ }
/** The readers stand still for so long, within their sessions. */
const BEHIND_MS_MAX = 2_000
const POLL_MS = 250
const MARKERS_MS = 5
/** Without faults a reader comes to the place within this. */
const STOP_MS = 60_000

/** Removes unread records of one partition, at a moment of the load; where nothing is unread, none. */
export async function cutUnread(world: World): Promise<void> {
  const { clock, scenario, broker, trace } = world
  const { cut, loadMs } = scenario
  if (cut === null) return
  const random = world.random('cut')
  await clock.sleep(loadMs * (0.3 + 0.4 * random()))
  const readers = world.parts.filter(({ process }) => READERS[cut].test(process.name))
  for (const { process } of readers) process.freeze()
  await clock.sleep(whole(random, 500, BEHIND_MS_MAX))
  const unread = await unreadOf(world, cut)
  if (unread.length > 0) {
    const removal = pick(random, unread)
    const { topic, partition, from, to } = removal
    trace.fault('broker', `removes ${topic}/${partition} offsets ${from} to ${to - 1}, which are unread`)
    broker.removeBefore(topic, partition, to)
    world.removals.push(removal)
  }
  for (const { process } of readers) process.thaw()
}

/**
 * Partitions with committed records that the reader has not confirmed as read. One that has not confirmed any yet begins
 * with what it finds; the sequencer begins with all partitions at once.
 */
async function unreadOf(world: World, cut: Cut): Promise<Removal[]> {
  const topic = TOPIC[cut]
  const unread: Removal[] = []
  const hasBegun = async (partition: number): Promise<boolean> => (await positionOf(world, cut, partition)) !== null
  const all = await Promise.all(
    Array.from({ length: world.scenario.partitions }, (_, partition) => hasBegun(partition)),
  )
  for (let partition = 0; partition < world.scenario.partitions; partition += 1) {
    if (cut === 'extents' ? !all.includes(true) : !all[partition]) continue
    const from = (await positionOf(world, cut, partition)) ?? 0
    const { stable: to } = world.broker.range({ topic, partition })
    const records = committed(world.broker, topic).filter((record) => record.partition === partition)
    if (records.some(({ offset }) => offset >= from && offset < to)) unread.push({ topic, partition, from, to })
  }
  return unread
}

async function positionOf({ broker, config }: World, cut: Cut, partition: number): Promise<number | null> {
  switch (cut) {
    case 'raw':
      return broker.committed(config.REFINE_GROUP, { topic: RAW, partition })
    case 'extents':
      return broker.committed(config.SEQUENCER_GROUP, { topic: EXTENTS, partition })
    case 'clean': {
      const store = new SqliteStore({ file: config.SQLITE_FILE, access: 'read' })
      try {
        const progress = await store.read((view) => view.progress()).catch(() => [])
        return progress.find((row) => row.topic === CLEAN && row.partition === partition)?.offset ?? null
      } finally {
        await store.close()
      }
    }
  }
}

/**
 * Waits until the reader has stopped at the place, or has passed it: it may have had the records in memory.
 * @returns what is wrong with how it stopped; null when it has passed, and the run continues as any other
 */
export async function checkStopped(world: World): Promise<Failure[] | null> {
  const { clock, problems, sights, scenario } = world
  const [{ topic, partition, from, to }] = world.removals
  const place = new RegExp(`(${topic}/${partition}\\b|${scenario.cut} partition ${partition}\\b)`)
  const isSaid = (): boolean => problems.some((problem) => place.test(problem))
  for (const deadline = clock.mono() + STOP_MS; !isSaid(); await clock.sleep(POLL_MS)) {
    if (((await positionOf(world, scenario.cut!, partition)) ?? 0) >= to) return null
    if (clock.mono() < deadline) continue
    const problem = `nobody says that ${topic}/${partition} offsets ${from} to ${to - 1} were removed unread; said was: ${problems.join('; ') || 'nothing'}`
    return [{ check: 'a loss is said', problem }]
  }
  sights.add(`the reader of ${scenario.cut} stops and says where`)
  const report = await auditOf(world)
  // Markers reach topics at different times: what is compared must be of ended transactions.
  for (const deadline = clock.mono() + STOP_MS; atTransactions(world) !== null && clock.mono() < deadline;)
    await clock.sleep(MARKERS_MS)
  const isNamed = report.problems.some(({ message }) => place.test(message))
  const named = isNamed
    ? []
    : [{ check: 'the audit names a loss', problem: `it says ${JSON.stringify(report.problems)}` }]
  return [...named, ...checkRemains(world)]
}
