// The state of the cluster for whoever shows it: follows views, heartbeats and acknowledgements in the background and
// answers from memory, saying how old its knowledge is. A broker that is away makes the answer old, nothing else.
//
// Process ids make names of members, so `nodes` would grow for ever: whoever has been silent for an hour is taken out of
// the topic by a tombstone. Should the member come back at that very moment, its next heartbeat mends it.
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

const SILENT_MS = 3_600_000
const SWEEP_MS = 60_000
/** Tombstones of one sweep: some 100 kB. */
const SWEPT_MAX = 1_000
/** Heartbeats that were read so shortly after the last look came live, and tell what the broker's clock says now. */
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
  /** When all of a topic had been read, by topic; monotonic ms. */
  readonly #readAt = new Map<string, number>()
  /** The broker's clock minus ours, ms; taken for equal until a heartbeat comes live. */
  #skewMs = 0

  /** Follows until the signal fires. */
  constructor(options: ClusterOptions, signal: AbortSignal) {
    this.#options = options
    const { fetchSchema } = options
    const state = this.#state
    this.#follow<View>(VIEWS, new FramedDecoder('view', fetchSchema), signal, {
      onRow: ({ key, value }) => state.setView(key, value),
      onAnew: () => state.clearViews(),
    })
    this.#follow<Heartbeat>(NODES, new FramedDecoder('heartbeat', fetchSchema), signal, {
      onRow: (row) => this.#onHeartbeat(row),
      onAnew: () => state.clearHeartbeats(),
    })
    this.#follow(CONFIG_ACKS, ackDecoder(fetchSchema), signal, {
      onRow: ({ key, value }) => state.setAck(key, value),
      onAnew: () => state.clearAcks(),
    })
    void this.#sweepRepeatedly(signal)
  }

  /** Time since everything that is there was last known, ms; null: it has not been read yet. */
  get stalenessMs(): number | null {
    const topics = [VIEWS, NODES, CONFIG_ACKS].map((topic) => this.#readAt.get(topic))
    if (topics.some((at) => at === undefined)) return null
    return this.#options.clock.mono() - Math.min(...(topics as number[]))
  }

  /** The view that was published last; null: none was. */
  current(): CurrentView | null {
    return this.#state.current(this.#brokerNowMs())
  }

  /** Views before it, newest first. */
  earlier(limit: number): View[] {
    return this.#state.earlier(limit)
  }

  /**
   * Who applies configuration and was heard of within this time, as of when everything was last known: a broker that is
   * away makes nobody absent.
   */
  applying(timeoutMs: number): ApplyingMember[] {
    return this.#state.applying(this.#brokerNowMs() - (this.stalenessMs ?? 0), timeoutMs)
  }

  #follow<T>(
    topic: string,
    decoder: FramedDecoder<T>,
    signal: AbortSignal,
    handlers: { onRow: (row: Row<T>) => void; onAnew: () => void },
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
      await clock.sleep(SWEEP_MS, signal).catch(() => undefined)
      const { stalenessMs } = this
      if (signal.aborted || stalenessMs === null || stalenessMs > LIVE_MS) continue
      const silent = this.#state.silentSince(this.#brokerNowMs() - SILENT_MS, SWEPT_MAX)
      if (silent.length === 0) continue
      await this.#bury(silent).catch((error: unknown) =>
        log.debug({ reason: messageOf(error) }, 'members that are long gone stay for now'),
      )
    }
  }

  /** Takes members out of `nodes`, and what they acknowledged with them. Reading the topics then takes them out here. */
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
    this.#options.log.info({ members: members.length }, 'members that are long gone were taken out of the topic')
  }
}

function tombstones(topic: string, keys: readonly string[]): OutgoingBatch {
  const records = new RecordBatchBuilder()
  for (const key of keys) records.add(Buffer.from(key), null)
  return { topic, partition: 0, records }
}
