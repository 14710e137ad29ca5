// When a world has settled: everything that was accepted has passed through refine, the order, the store and the
// replicas, and no transaction is open. Determined from the broker and the disk, not by asking the services.
import type { Admin } from '../platform/kafka/port.ts'
import { SqliteStore } from '../platform/store/sqlite/store.ts'
import { readCommitMetadata } from '../schemas/refine.ts'
import { ANOMALIES, CLEAN, CONFIG, EXTENTS, LATE, ORDER, RAW } from '../schemas/topics.ts'
import { readState } from '../sinks/replica/state.ts'
import { toldByPartition, versionsOf } from './checks/configuration.ts'
import { orderOf } from './checks/order.ts'
import { REPLICAS, replicaDir } from './population.ts'
import type { World } from './world.ts'

const POLL_MS = 250
/** Without faults a world must settle within this, ms: several times the sessions, timeouts and backoffs. */
const SETTLE_MS = 90_000

/** @returns what is still in progress on timeout; null once everything has settled */
export async function settle(world: World): Promise<string | null> {
  const { clock, config } = world
  const admin = await world.observer().admin()
  const store = new SqliteStore({ file: config.SQLITE_FILE, access: 'read' })
  const deadline = clock.mono() + SETTLE_MS
  try {
    for (;;) {
      const moving =
        atProducers(world) ??
        (await atRefine(world, admin)) ??
        atTransactions(world) ??
        atConfiguration(world) ??
        atOrder(world) ??
        (await atStore(world, store)) ??
        atReplicas(world)
      if (moving === null || clock.mono() >= deadline) return moving
      await clock.sleep(POLL_MS)
    }
  } finally {
    await Promise.all([admin.close(), store.close()])
  }
}

function atProducers({ parts }: World): string | null {
  const down = parts.filter(({ process }) => !process.isRunning)
  if (down.length > 0) return `${down.map(({ process }) => process.name).join(', ')} do not run`
  const waiting = parts.reduce((sum, { depth }) => sum + (depth?.() ?? 0), 0)
  return waiting > 0 ? `${waiting} readings wait at the producers` : null
}

async function atRefine({ config }: World, admin: Admin): Promise<string | null> {
  const ranges = await admin.offsetRanges(RAW)
  const committed = await admin.committedOffsets(config.REFINE_GROUP, RAW)
  for (const [partition, { end }] of ranges.entries()) {
    const at = committed[partition]
    if (at === null || at === undefined) return `refine has committed nothing of partition ${partition}`
    if (at.offset < end) return `refine is at ${at.offset} of ${end} in partition ${partition}`
    const { buffered } = readCommitMetadata(at.metadata).ledger
    if (buffered > 0) return `refine holds ${buffered} readings of partition ${partition} back`
  }
  return null
}

export function atTransactions({ broker }: World): string | null {
  for (const topic of [RAW, CLEAN, LATE, ANOMALIES, EXTENTS, ORDER, CONFIG]) {
    const open = broker.dump(topic).find(({ fate }) => fate === 'open')
    if (open !== undefined) return `a transaction is open in ${topic}/${open.partition}`
  }
  return null
}

/** A change is announced to every partition, even if nothing arrives there. */
function atConfiguration({ broker, scenario }: World): string | null {
  const newest = versionsOf(broker).length
  const behind = toldByPartition(broker, scenario.partitions).findIndex((version) => version < newest)
  return behind < 0 ? null : `partition ${behind} has not been told of version ${newest} of the configuration`
}

/** Offsets just after the last committed record, by partition: only markers follow. */
function endsOf({ broker }: World, topic: string): Map<number, number> {
  const ends = new Map<number, number>()
  for (const { partition, offset, fate } of broker.dump(topic))
    if (fate === 'committed') ends.set(partition, offset + 1)
  return ends
}

const orderedOf = ({ broker }: World): number => orderOf(broker).reduce((sum, { count }) => sum + count, 0)

function atOrder(world: World): string | null {
  const ordered = orderedOf(world)
  const clean = world.broker.dump(CLEAN).filter(({ fate }) => fate === 'committed').length
  return ordered < clean ? `the order has ${ordered} of ${clean} readings` : null
}

async function atStore(world: World, store: SqliteStore): Promise<string | null> {
  // There is no store until a sink has created it.
  const progress = await store.read((view) => view.progress()).catch(() => [])
  for (const topic of [CLEAN, LATE, ANOMALIES]) {
    for (const [partition, end] of endsOf(world, topic)) {
      const at = progress.find((row) => row.topic === topic && row.partition === partition)?.offset ?? 0
      if (at < end) return `the store is at ${at} of ${end} in ${topic}/${partition}`
    }
  }
  return null
}

function atReplicas(world: World): string | null {
  const ordered = orderedOf(world)
  const late = endsOf(world, LATE)
  for (let number = 1; number <= REPLICAS; number += 1) {
    const state = readState(replicaDir(world, number))
    const next = state?.next_sequence ?? 0
    if (next < ordered) return `replica ${number} is at ${next} of ${ordered}`
    for (const [partition, end] of late) {
      const at = state?.late_next[partition] ?? 0
      if (at < end) return `replica ${number} is at ${at} of ${end} in ${LATE}/${partition}`
    }
  }
  return null
}
