// What is monitored from outside the fetch loop, which may itself hang: positions against the ends of the
// partitions, whether the topics still match, whether the group still has its offsets, and which foreign transactions
// hold raw back.
import type { Clock } from '../../../platform/clock.ts'
import type { Admin, OffsetRange, OpenTransaction, RangeReader } from '../../../platform/kafka/port.ts'
import { Tails } from '../../../platform/kafka/tails.ts'
import type { Logger } from '../../../platform/log.ts'
import type { RefineTopics } from '../../../schemas/topics.ts'
import type { RefineObserver } from './observe.ts'
import type { Tasks } from './tasks.ts'
import type { Troubles } from './troubles.ts'
import { pause } from '../../../platform/retry.ts'

const LOOK_MS = 5_000
/** Topics change rarely; that raw has grown is seen on every poll. */
const TOPICS_MS = 60_000
/** A producer's transaction takes well below a second; one open for this long is reported, ms. */
const OPEN_MS = 10_000

export interface WatchDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly observer: RefineObserver
  readonly topics: RefineTopics
  readonly group: string
  readonly admin: Admin
  readonly reader: RangeReader
  readonly troubles: Troubles
}

/**
 * The mismatch, or null: every record goes to the same partition of the next topic, so the counts must agree.
 * @param counts partitions by topic, raw first
 */
export function partitionMismatch(counts: ReadonlyMap<string, number>): string | null {
  const [[raw, wanted]] = counts
  const others = [...counts].filter(([, count]) => count !== wanted)
  if (others.length === 0) return null
  const names = others.map(([topic, count]) => `${topic} ${count}`).join(', ')
  return `${raw} has ${wanted} partitions, ${names}: nothing is refined until all have the same number; records of one sensor may be in two partitions of ${raw} since it was changed`
}

async function mismatch({ admin, topics }: Pick<WatchDeps, 'admin' | 'topics'>): Promise<string | null> {
  const { raw, ...others } = topics
  const counts = new Map<string, number>()
  for (const topic of [raw, ...Object.values(others)]) counts.set(topic, await admin.partitionCount(topic))
  return partitionMismatch(counts)
}

/** Resolves when the topics match, or the signal fires; reports the mismatch meanwhile. */
export async function untilTopicsFit(
  deps: Pick<WatchDeps, 'admin' | 'topics' | 'troubles' | 'clock' | 'log'>,
  signal: AbortSignal,
): Promise<void> {
  let said: string | null = null
  while (!signal.aborted) {
    const found = await mismatch(deps)
    deps.troubles.report('topics', found === null ? [] : [found])
    if (found === null) return
    if (found !== said) deps.log.error({ code: 'PARTITIONS_DIFFER' }, found)
    said = found
    await pause(LOOK_MS, signal, deps.clock)
  }
}

/** Polls until the signal fires. @param onMismatch the topics no longer match */
export async function watch(tasks: Tasks, deps: WatchDeps, signal: AbortSignal, onMismatch: () => void): Promise<void> {
  const { clock, log, admin, topics } = deps
  const tails = new Tails(deps.reader)
  let partitions: number | null = null
  let topicsAt = clock.mono()
  while (!signal.aborted) {
    await pause(LOOK_MS, signal, clock)
    if (signal.aborted) return
    try {
      const ranges = await admin.offsetRanges(topics.raw)
      const hasGrown = partitions !== null && ranges.length !== partitions
      partitions = ranges.length
      if (hasGrown || clock.mono() - topicsAt >= TOPICS_MS) {
        topicsAt = clock.mono()
        if ((await mismatch(deps)) !== null) return onMismatch()
      }
      await lookAtProgress(tasks, deps, tails, ranges)
      await lookAtOffsets(tasks, deps)
    } catch (error) {
      log.warn({ err: error }, 'failed to look at the partitions of raw; trying again')
    }
  }
}

/**
 * Dead letters come back in transactions, so raw may end in markers and aborted records: tasks are told to skip these.
 */
async function lookAtProgress(
  tasks: Tasks,
  deps: WatchDeps,
  tails: Tails,
  ranges: readonly OffsetRange[],
): Promise<void> {
  const { clock, admin, observer, topics, troubles } = deps
  const watermarks = await admin.highWatermarks(topics.raw)
  const isHeld = ranges.some(({ end }, partition) => watermarks[partition] > end)
  const open = isHeld ? await admin.openTransactions(topics.raw) : []
  const running = tasks.running()
  observer.keep(new Set(running.map(({ partition }) => partition)))
  for (const task of running) {
    const { partition, position } = task
    const range = ranges.at(partition)
    if (range === undefined) continue
    const { end } = range
    const reached = position < end ? await tails.passable({ topic: topics.raw, partition }, position, end) : position
    observer.progress(partition, reached, end, clock.mono(), Math.max(end, watermarks[partition] ?? end))
    // Not awaited: a hanging transaction must not hide the state of the other partitions.
    if (reached >= end) void tasks.settle(task, end)
  }
  const owned = new Set(running.map(({ partition }) => partition))
  const old = open.filter(({ partition, sinceMs }) => owned.has(partition) && clock.now() - sinceMs >= OPEN_MS)
  troubles.report('transactions', old.map(describeTransaction))
}

/** K2: nothing after the first record of an open transaction can be read before it ends. */
export function describeTransaction(open: OpenTransaction): string {
  const { topic, partition, producerId, transactionalId, firstOffset, sinceMs } = open
  const who =
    transactionalId === null
      ? `producer ${producerId}, which no coordinator knows (it will not end by itself)`
      : `producer ${producerId} (transactional id ${transactionalId})`
  const abort = `kafka-transactions.sh --bootstrap-server … abort --topic ${topic} --partition ${partition} --start-offset ${firstOffset}`
  return `${topic}/${partition} is held at offset ${firstOffset} by a transaction of ${who}, open since ${new Date(sinceMs).toISOString()}: end it there, wait for its time-out, or run ${abort}`
}

/**
 * An offset that somebody has deleted or reset would be missing at the next start: it is reported and rewritten. One
 * that is ahead was committed by another owner.
 */
async function lookAtOffsets(tasks: Tasks, { admin, group, topics, log }: WatchDeps): Promise<void> {
  const expected = tasks.running().map((task) => ({ task, offset: task.committedPosition }))
  if (expected.length === 0) return
  const committed = await admin.committedOffsets(group, topics.raw)
  for (const { task, offset } of expected) {
    const found = committed.at(task.partition)?.offset ?? null
    if (found !== null && found > task.committedPosition) void tasks.overtaken(task, found)
    if (found !== null && found >= offset) continue
    const at = { topic: topics.raw, partition: task.partition, offset, found }
    log.error(
      { code: 'OFFSET_VANISHED', ...at },
      `group ${group} has ${found === null ? 'no offset' : `offset ${found}`} for ${topics.raw}/${task.partition} where ${offset} was committed: somebody has deleted or reset it; writing it again from memory`,
    )
    void tasks.recommit(task)
  }
}
