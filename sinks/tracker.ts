// Looks at the log a few times a second: how far raw, refine and the topics are, hence up to when everything is stored
// (core/marks.ts), the lag, and whether partitions move. It also shows the store's offsets to the broker as the
// group's committed ones: for lag displays only, since the store is the truth.
import { ProgressWatch } from '../platform/health.ts'
import type { Admin, GroupConsumer, OffsetRange } from '../platform/kafka/port.ts'
import type { Tails } from '../platform/kafka/tails.ts'
import { RAW } from '../schemas/topics.ts'
import type { Lane } from './core/batch.ts'
import { takeLook } from './core/marks.ts'
import type { SinkMetrics } from './sink-metrics.ts'
import type { StoreWriter } from './writer.ts'

/** Least time between two progress rows of a quiet partition, and between two commits of a partition's offset. */
const SAVE_EVERY_MS = 1_000

export interface TrackerOptions {
  readonly admin: Admin
  readonly tails: Tails
  readonly writer: StoreWriter
  readonly metrics: SinkMetrics
  readonly refineGroup: string
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
  reset(forgotten: Iterable<Lane>): void {
    for (const lane of forgotten) this.watch.forget(nameOf(lane))
    this.#committed = new Map()
    this.#options.metrics.forgetLags()
  }

  /** One look at everything. The order of the requests is part of the rule, see core/marks.ts. */
  async look(lanes: readonly Lane[], nowMs: number): Promise<void> {
    const { admin, refineGroup } = this.#options
    const raw = await admin.offsetRanges(RAW)
    const refined = await admin.committedOffsets(refineGroup, RAW)
    const ends = new Map<string, OffsetRange[]>()
    for (const topic of new Set(lanes.map((lane) => lane.topic))) ends.set(topic, await admin.offsetRanges(topic))
    const refinedTo: number[] = []
    for (const [partition, range] of raw.entries()) {
      const committed = refined[partition]?.offset ?? range.start
      refinedTo[partition] = await this.#passable(RAW, partition, committed, range.end)
    }
    for (const lane of lanes) {
      const end = ends.get(lane.topic)?.[lane.partition]?.end
      if (end === undefined || !lane.active || !lane.started) continue
      const look = { nowMs, rawEnd: raw[lane.partition]?.end ?? 0, refinedTo: refinedTo[lane.partition] ?? 0, end }
      await this.#lookAt(lane, look)
    }
  }

  /** Commits what has moved; a failure costs nothing but a stale display. */
  async commit(consumer: GroupConsumer, lanes: readonly Lane[], nowMs: number): Promise<void> {
    for (const lane of lanes) {
      const before = this.#committed.get(nameOf(lane))
      if (!lane.active || lane.stored === null || before?.offset === lane.stored) continue
      if (before !== undefined && nowMs - before.atMs < SAVE_EVERY_MS) continue
      this.#committed.set(nameOf(lane), { offset: lane.stored, atMs: nowMs })
      await consumer.commit(lane, lane.stored)
    }
  }

  async #lookAt(lane: Lane, look: { nowMs: number; rawEnd: number; refinedTo: number; end: number }): Promise<void> {
    const { metrics, writer } = this.#options
    const { nowMs, end } = look
    const position = lane.position
    const passable = await this.#passable(lane.topic, lane.partition, position, end)
    if (passable > position && lane.position === position && !lane.busy) lane.position = passable
    // A position behind the stored one is a tail without records: nothing of it is missing from the store.
    const { marks, throughMs } = takeLook(lane.marks, {
      ...look,
      stored: lane.busy ? (lane.stored ?? 0) : lane.position,
    })
    lane.marks = marks
    if (throughMs !== null) lane.throughMs = throughMs
    if (!lane.busy && nowMs - lane.savedMs >= SAVE_EVERY_MS) writer.touch(lane)
    this.watch.observe(nameOf(lane), lane.position, end, nowMs)
    metrics.lag(lane.topic, lane.partition, Math.max(0, end - lane.position))
  }

  #passable(topic: string, partition: number, from: number, to: number): Promise<number> {
    return from >= to ? Promise.resolve(from) : this.#options.tails.passable({ topic, partition }, from, to)
  }
}

const nameOf = ({ topic, partition }: Lane): string => `${topic}/${partition}`
