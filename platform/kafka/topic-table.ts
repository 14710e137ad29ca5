// A small topic of one partition, kept as a table in memory: existing records are delivered first,
// then new ones, for as long as the process runs. The broker may go down and come back; records are delivered
// in order and, if the log was recreated, again from its beginning: the last record of a key counts.
import type { Clock } from '../clock.ts'
import { KafkaError, messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { retryWhile } from '../retry.ts'
import type { FetchedBatch, Kafka } from './port.ts'

const RETRY = { baseMs: 200, capMs: 5_000 }

export interface TableRecord {
  readonly key: string
  /** Null: the key is deleted. A view into the fetched bytes: copy it to keep it. */
  readonly value: Buffer | null
  /** As configured for the topic: the broker's time or the writer's, ms. */
  readonly timestampMs: number
  readonly offset: number
}

export interface TableOptions {
  readonly kafka: Kafka
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  readonly topic: string
  /** What it throws ends the table. */
  readonly onRecord: (record: TableRecord) => void | Promise<void>
  /** Called whenever the end is reached: several times a second for as long as the broker answers. */
  readonly onCurrent?: () => void
}

export interface FollowedTable {
  /** Everything that existed at the start has been delivered. Never rejects; pending while the broker is down. */
  readonly caughtUp: Promise<void>
  /** Resolves after the signal; rejects with what `onRecord` threw. */
  readonly ended: Promise<void>
}

export function followTable(options: TableOptions, signal: AbortSignal): FollowedTable {
  let onCaughtUp = (): void => {}
  const caughtUp = new Promise<void>((resolve) => (onCaughtUp = resolve))
  const ended = new Follower(options, signal, onCaughtUp).run()
  ended.catch(() => undefined) // anyone awaiting it is notified; nobody has to
  return { caughtUp, ended }
}

class Follower {
  readonly #options: TableOptions
  readonly #signal: AbortSignal
  readonly #onCaughtUp: () => void
  #position: number | null = null
  /** What `onRecord` threw, as opposed to broker errors. */
  #handlerFailure: { readonly reason: unknown } | null = null

  constructor(options: TableOptions, signal: AbortSignal, onCaughtUp: () => void) {
    this.#options = options
    this.#signal = signal
    this.#onCaughtUp = onCaughtUp
  }

  async run(): Promise<void> {
    const { clock, random, log, topic } = this.#options
    let before = this.#position
    const follow = async (): Promise<void> => {
      before = this.#position
      try {
        await this.#follow()
      } catch (error) {
        if (error instanceof KafkaError && error.code === 'OFFSET_OUT_OF_RANGE') this.#position = null
        throw error
      }
    }
    await retryWhile(() => this.#handlerFailure === null, follow, {
      backoff: RETRY,
      clock,
      random,
      signal: this.#signal,
      isRetriable: () => true,
      hasProgressed: () => before !== this.#position,
      onFailure: (error) =>
        log.warn({ topic, reason: messageOf(error) }, 'following a topic was interrupted; retrying'),
    })
    if (this.#handlerFailure !== null) throw this.#handlerFailure.reason
  }

  async #follow(): Promise<void> {
    const { kafka, topic, onCurrent } = this.#options
    const admin = await kafka.admin()
    const [range] = await admin.offsetRanges(topic).finally(() => admin.close())
    this.#position ??= range.start
    const reader = await kafka.rangeReader()
    // Closing the reader ends a pending fetch.
    const close = (): Promise<void> => reader.close().catch(() => undefined)
    this.#signal.addEventListener('abort', close)
    try {
      await reader.follow({ topic, partition: 0 }, this.#position, this.#signal, async (fetched) => {
        await this.#handOver(fetched)
        // An empty one: there is nothing more, so a tail of markers below the end holds no record.
        const isCurrent = fetched.batches.length === 0 || fetched.nextOffset >= fetched.endOffset
        if (isCurrent || fetched.nextOffset >= range.end) this.#onCaughtUp()
        if (isCurrent) onCurrent?.()
      })
    } finally {
      this.#signal.removeEventListener('abort', close)
      await close()
    }
  }

  async #handOver({ batches, nextOffset }: FetchedBatch): Promise<void> {
    const position = this.#position!
    for (const batch of batches) {
      for (let i = 0; i < batch.count; i += 1) {
        const offset = batch.offset(i)
        if (offset < position) continue
        try {
          const key = batch.key(i)?.toString('utf8') ?? ''
          await this.#options.onRecord({ key, value: batch.value(i), timestampMs: batch.timestamp(i), offset })
        } catch (reason) {
          this.#handlerFailure = { reason }
          throw reason
        }
        this.#position = offset + 1
      }
    }
    this.#position = Math.max(this.#position!, nextOffset)
  }
}
