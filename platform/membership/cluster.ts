// The state of the cluster for those who show it: follows views, heartbeats and acknowledgements in the background and
// answers from memory, saying how old its knowledge is. While the broker is down the answer gets older, nothing else.
//
// Members are named by process ids, so `nodes` would grow for ever: a member that has been silent for an hour is removed
// from the topic by a tombstone. Should it come back at that very moment, its next heartbeat brings it back.
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { Kafka, OutgoingBatch } from '../kafka/port.ts'
import { RecordBatchBuilder } from '../kafka/record-batch/builder.ts'
import type { Logger } from '../log.ts'
import { ackDecoder } from '../runtime-config/codec.ts'
import { FramedDecoder } from '../codec/framed-decoder.ts'
import type { FetchSchema } from '../codec/register.ts'
import { CONFIG_ACKS, NODES, VIEWS } from '../../schemas/topics.ts'
import { type ApplyingMember, ClusterState, type CurrentView, type View } from './cluster-state.ts'
import { followDecoded, type Row } from './decoded-table.ts'
import type { Heartbeat } from './heartbeat.ts'
import { pause } from '../retry.ts'

const SILENT_MS = 3_600_000
const SWEEP_MS = 60_000
/** Tombstones of one sweep: some 100 kB. */
const SWEPT_MAX = 1_000
/** Heartbeats read within this time of the latest look are live, and show what the broker's clock says now, ms. */
const LIVE_MS = 1_000

export interface ClusterOptions {
  readonly kafka: Kafka
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  readonly fetchSchema: FetchSchema
}

export class Cluster {
  readonly #options: ClusterOptions
  readonly #state = new ClusterState()
  /** When a topic had last been read to its end, by topic; monotonic ms. */
  readonly #readAt = new Map<string, number>()
  /** The broker's clock minus ours, ms; assumed to be 0 until a live heartbeat was read. */
  #skewMs = 0

  /** Follows until the signal fires. */
  constructor(options: ClusterOptions, signal: AbortSignal) {
    this.#options = options
    const { fetchSchema } = options
    const state = this.#state
    this.#follow<View>(VIEWS, new FramedDecoder('view', fetchSchema), signal, {
      onRow: ({ key, value }) => state.setView(key, value),
      onRestart: () => state.clearViews(),
    })
    this.#follow<Heartbeat>(NODES, new FramedDecoder('heartbeat', fetchSchema), signal, {
      onRow: (row) => this.#onHeartbeat(row),
      onRestart: () => state.clearHeartbeats(),
    })
    this.#follow(CONFIG_ACKS, ackDecoder(fetchSchema), signal, {
      onRow: ({ key, value }) => state.setAck(key, value),
      onRestart: () => state.clearAcks(),
    })
    void this.#sweepRepeatedly(signal)
  }

  /** Time since all topics had last been read to their ends, ms; null: they have not been yet. */
  get stalenessMs(): number | null {
    const topics = [VIEWS, NODES, CONFIG_ACKS].map((topic) => this.#readAt.get(topic))
    if (topics.some((at) => at === undefined)) return null
    return this.#options.clock.mono() - Math.min(...(topics as number[]))
  }

  /** The latest view; null: none was published. */
  current(): CurrentView | null {
    return this.#state.current(this.#brokerNowMs())
  }

  /** Views before it, newest first. */
  earlier(limit: number): View[] {
    return this.#state.earlier(limit)
  }

  /**
   * Who applies configuration and was heard of within this time, counted from when the topics had last been read: while
   * the broker is down nobody is considered down for it.
   */
  applying(timeoutMs: number): ApplyingMember[] {
    return this.#state.applying(this.#brokerNowMs() - (this.stalenessMs ?? 0), timeoutMs)
  }

  #follow<T>(
    topic: string,
    decoder: FramedDecoder<T>,
    signal: AbortSignal,
    handlers: { onRow: (row: Row<T>) => void; onRestart: () => void },
  ): void {
    const { kafka, clock, random, log } = this.#options
    const onCurrent = (): void => void this.#readAt.set(topic, clock.mono())
    followDecoded({ kafka, clock, random, log, topic, decoder, onCurrent, ...handlers }, signal)
  }

  #onHeartbeat({ key, value, timestampMs }: Row<Heartbeat>): void {
    const { clock } = this.#options
    const readAt = this.#readAt.get(NODES)
    if (readAt !== undefined && clock.mono() - readAt < LIVE_MS) this.#skewMs = timestampMs - clock.now()
    this.#state.setHeartbeat(key, value, timestampMs)
  }

  #brokerNowMs(): number {
    return this.#options.clock.now() + this.#skewMs
  }

  async #sweepRepeatedly(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options
    while (!signal.aborted) {
      await pause(SWEEP_MS, signal, clock)
      const { stalenessMs } = this
      if (signal.aborted || stalenessMs === null || stalenessMs > LIVE_MS) continue
      const silent = this.#state.silentSince(this.#brokerNowMs() - SILENT_MS, SWEPT_MAX)
      if (silent.length === 0) continue
      await this.#bury(silent).catch((error: unknown) =>
        log.debug({ reason: messageOf(error) }, 'failed to remove members that left long ago; will retry'),
      )
    }
  }

  /** Removes members from `nodes` and `config.acks`; reading the tombstones then removes them here. */
  async #bury(members: readonly string[]): Promise<void> {
    const acknowledged = members.filter((id) => this.#state.hasAck(id))
    const producer = await this.#options.kafka.producer()
    try {
      await producer.send([
        tombstones(NODES, members),
        ...(acknowledged.length === 0 ? [] : [tombstones(CONFIG_ACKS, acknowledged)]),
      ])
    } finally {
      await producer.close()
    }
    this.#options.log.info({ members: members.length }, 'removed members that left long ago from the topic')
  }
}

function tombstones(topic: string, keys: readonly string[]): OutgoingBatch {
  const records = new RecordBatchBuilder()
  for (const key of keys) records.add(Buffer.from(key), null)
  return { topic, partition: 0, records }
}
