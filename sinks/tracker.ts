// Polls the log a few times a second: how far raw, refine and the topics are, hence up to when everything is stored
// (core/marks.ts), the lag, and whether partitions make progress. It also commits the store's offsets as the
// group's: for lag displays only, since the store is the source of truth.
import { ProgressWatch } from '../platform/health.ts'
import type { Admin, GroupConsumer, OffsetRange } from '../platform/kafka/port.ts'
import type { Tails } from '../platform/kafka/tails.ts'
import { RAW } from '../schemas/topics.ts'
import { takeLook } from './core/marks.ts'
import type { SinkPartition } from './core/sink-partition.ts'
import type { SinkMetrics } from './sink-metrics.ts'
import type { StoreWriter } from './writer.ts'

/** Minimum time between two progress rows of a quiet partition, and between two commits of a partition's offset. */
const SAVE_EVERY_MS = 1_000

export interface TrackerOptions {
  readonly admin: Admin
  readonly tails: Tails
  readonly writer: StoreWriter
  readonly metrics: SinkMetrics
  readonly refineGroup: string
}

/** What was observed of a partition: see core/marks.ts. */
interface Ends {
  readonly nowMs: number
  readonly rawEnd: number
  readonly refinedTo: number
  /** End of what may be read. */
  readonly end: number
  /** End of the log, open transactions included. */
  readonly logEnd: number
}

interface Committed {
  offset: number
  atMs: number
}

export class Tracker {
  readonly watch = new ProgressWatch()
  readonly #options: TrackerOptions
  #committed = new Map<string, Committed>()

  constructor(options: TrackerOptions) {
    this.#options = options
  }

  /** Other partitions were assigned. */
  reset(forgotten: Iterable<SinkPartition>): void {
    for (const { name } of forgotten) this.watch.forget(name)
    this.#committed = new Map()
    this.#options.metrics.forgetLags()
  }

  /** One look at everything. The order of the requests is part of the rule, see core/marks.ts. */
  async look(partitions: readonly SinkPartition[], nowMs: number): Promise<void> {
    const { admin, refineGroup } = this.#options
    // What an open transaction holds back has arrived, too: the log's end counts, not the last stable offset.
    const arrived = await admin.highWatermarks(RAW)
    const raw = await admin.offsetRanges(RAW)
    const refined = await admin.committedOffsets(refineGroup, RAW)
    const ends = new Map<string, OffsetRange[]>()
    const logEnds = new Map<string, number[]>()
    for (const topic of new Set(partitions.map((member) => member.topic))) {
      logEnds.set(topic, await admin.highWatermarks(topic))
      ends.set(topic, await admin.offsetRanges(topic))
    }
    const refinedTo: number[] = []
    for (const [partition, range] of raw.entries()) {
      const committed = refined[partition]?.offset ?? range.start
      refinedTo[partition] = await this.#passable(RAW, partition, committed, range.end)
    }
    for (const member of partitions) {
      const { topic, partition } = member
      const end = ends.get(topic)?.[partition]?.end
      const logEnd = logEnds.get(topic)?.[partition]
      if (end === undefined || logEnd === undefined) continue
      const look = { nowMs, rawEnd: arrived[partition] ?? 0, refinedTo: refinedTo[partition] ?? 0, end, logEnd }
      await this.#lookAt(member, look)
    }
  }

  /** Commits what has advanced; a failure only leaves a stale display. */
  async commit(consumer: GroupConsumer, partitions: readonly SinkPartition[], nowMs: number): Promise<void> {
    for (const partition of partitions) {
      const before = this.#committed.get(partition.name)
      const stored = partition.advance?.stored ?? null
      if (stored === null || before?.offset === stored) continue
      if (before !== undefined && nowMs - before.atMs < SAVE_EVERY_MS) continue
      this.#committed.set(partition.name, { offset: stored, atMs: nowMs })
      await consumer.commit(partition, stored)
    }
  }

  async #lookAt(partition: SinkPartition, look: Ends): Promise<void> {
    const { metrics, writer } = this.#options
    const { nowMs, rawEnd, refinedTo, end, logEnd } = look
    const before = partition.advance
    if (before === null) return
    const passable = await this.#passable(partition.topic, partition.partition, before.position, end)
    if (passable > before.position && partition.advance?.position === before.position) partition.passed(passable)
    const now = partition.advance
    if (now === null) return
    // A position beyond the stored one is a tail without records: nothing of it is missing from the store.
    const stored = now.kind === 'writing' ? (now.stored ?? 0) : now.position
    const { marks, throughMs } = takeLook(now.marks, { nowMs, rawEnd, refinedTo, end: logEnd, stored })
    partition.looked(marks, throughMs)
    if (now.kind === 'reading' && nowMs - now.savedMs >= SAVE_EVERY_MS) writer.touch(partition)
    this.watch.observe(partition.name, now.position, end, nowMs, logEnd)
    metrics.lag(partition.topic, partition.partition, Math.max(0, end - now.position))
  }

  #passable(topic: string, partition: number, from: number, to: number): Promise<number> {
    return from >= to ? Promise.resolve(from) : this.#options.tails.passable({ topic, partition }, from, to)
  }
}
