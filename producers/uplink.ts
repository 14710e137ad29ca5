// The way to the broker that all producers of a process share: one send at a time carries what all of them have, one
// record batch per partition. With one send in flight a sensor's readings never overtake each other on a retry. A
// failed send is tried again after a backoff with full jitter, from each producer's first unacknowledged reading.
//
// The broker may be away from the start: client, partition count and connection are made in the loop.
import { backoffMs } from '../platform/backoff.ts'
import type { Clock } from '../platform/clock.ts'
import { ConfigError, messageOf } from '../platform/errors.ts'
import type { Kafka, Producer } from '../platform/kafka/port.ts'
import type { Logger } from '../platform/log.ts'
import { RAW } from '../schemas/topics.ts'
import { WalError } from '../platform/wal/format.ts'
import { Batcher } from './batcher.ts'
import type { Faults } from './nodes/core/faults.ts'
import type { Outbox } from './outbox.ts'
import { pause } from '../platform/retry.ts'

/** Between two sends: long enough to gather many readings, short against the pipeline's commit interval. */
const LINGER_MS = 10
const BACKOFF = { baseMs: 50, capMs: 2_000 }
/** A client that failed so often in a row is thrown away, whatever state it may be in. */
const RENEW_CLIENT_AFTER = 8

/** A producer that uses the uplink. */
export interface Sender {
  readonly outbox: Outbox
  /** Nothing is to be held back: it is leaving. */
  readonly flush: boolean
  /** Fault injection took this send. */
  onDropped?(): void
}

export interface Delivery {
  /** Readings newly acknowledged. */
  readonly acknowledged: number
  /** Sent twice on purpose. */
  readonly duplicates: number
  readonly ms: number
}

export interface UplinkOptions {
  readonly kafka: Kafka
  readonly clock: Clock
  readonly log: Logger
  readonly random: () => number
  readonly faults?: Faults
  /** After every send that ended well. */
  readonly onDelivered?: (delivery: Delivery) => void
  readonly onFailed?: () => void
}

export class Uplink {
  readonly #options: UplinkOptions
  readonly #senders = new Set<Sender>()
  readonly #startedAt: number
  #producer: Producer | null = null
  #batcher: Batcher | null = null
  #partitions = 0
  #everConnected = false
  #failures = 0
  /** Those whose readings the send under way carries. */
  readonly #filled = new Set<Sender>()
  /** When the present attempt began, monotonic ms; null between attempts. */
  #attemptAt: number | null = null

  constructor(options: UplinkOptions) {
    this.#options = options
    this.#startedAt = options.clock.mono()
  }

  /** Sends that failed in a row. */
  get failures(): number {
    return this.#failures
  }

  /** How long the present attempt to send has been going on, ms. */
  get sendingMs(): number {
    return this.#attemptAt === null ? 0 : this.#options.clock.mono() - this.#attemptAt
  }

  add(sender: Sender): void {
    this.#senders.add(sender)
  }

  /** Its outbox is not touched any more: what is on its way counts as not acknowledged. */
  remove(sender: Sender): void {
    this.#senders.delete(sender)
    this.#filled.delete(sender)
  }

  /**
   * Sends until the signal fires.
   * @throws WalError when a log cannot be read: continuing would lose readings silently; ConfigError when the broker
   *   refuses certificate or password at the first connection
   */
  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) await this.#cycle(signal)
    } finally {
      await this.#dropClient()
    }
  }

  /** Waits until all that the sender accepted is acknowledged, or the time is over; says which. `run` must be running. */
  async drained(sender: Sender, timeoutMs: number): Promise<boolean> {
    const { clock } = this.#options
    const deadline = clock.mono() + timeoutMs
    while (sender.outbox.depth > 0) {
      if (clock.mono() >= deadline) return false
      await clock.sleep(LINGER_MS)
    }
    return true
  }

  /** Appends records of another topic, beside the loop. Best effort: the caller decides what a failure means. */
  async sendBeside(batches: Parameters<Producer['send']>[0]): Promise<void> {
    if (this.#producer === null || this.#isOut()) throw new Error('there is no connection to the broker')
    await this.#producer.send(batches)
  }

  async #cycle(signal: AbortSignal): Promise<void> {
    const { clock, log, random, onFailed } = this.#options
    try {
      this.#attemptAt = clock.mono()
      await this.#sendOnce()
      this.#attemptAt = null
      if (this.#failures > 0) {
        log.info({ failures: this.#failures }, 'the broker accepts readings again')
        this.#failures = 0
      }
      await pause(LINGER_MS, signal, clock)
    } catch (error) {
      for (const { outbox } of this.#senders) outbox.rewind()
      if (error instanceof WalError) throw error
      // Refused from the start, waiting does not help; refused later, what is taken is kept until the broker accepts us.
      if (error instanceof ConfigError && !this.#everConnected) throw error
      this.#batcher = null
      this.#attemptAt = null
      this.#failures += 1
      onFailed?.()
      if (this.#failures === 1 || this.#failures % RENEW_CLIENT_AFTER === 0)
        log.warn(
          { failures: this.#failures, reason: messageOf(error) },
          'the broker does not accept readings; they are kept',
        )
      if (this.#failures % RENEW_CLIENT_AFTER === 0) await this.#dropClient()
      await pause(backoffMs(BACKOFF, this.#failures - 1, random), signal, clock)
    }
  }

  async #sendOnce(): Promise<void> {
    const { clock, faults, onDelivered } = this.#options
    const producer = await this.#connect()
    const batcher = (this.#batcher ??= new Batcher(RAW, this.#partitions))
    batcher.clear()
    this.#fill(batcher)
    if (batcher.count === 0) return
    const begun = clock.mono()
    if (this.#isOut()) throw new Error('the broker is out of reach (fault injection)')
    await producer.send(batcher.batches())
    if (faults !== undefined && faults.ackDelayMs > 0) await clock.sleep(faults.ackDelayMs)
    let acknowledged = 0
    let duplicates = 0
    for (const { outbox } of this.#filled) {
      acknowledged += outbox.delivered()
      duplicates += outbox.takeDuplicates()
    }
    onDelivered?.({ acknowledged, duplicates, ms: clock.mono() - begun })
  }

  /** Lets every sender fill the batches, beginning with another one each time so that none is neglected. */
  #fill(batcher: Batcher): void {
    const { clock, faults } = this.#options
    const now = clock.mono()
    this.#filled.clear()
    for (const sender of this.#senders) {
      if (sender.outbox.depth > 0 && faults?.dropsNext() === true) {
        sender.onDropped?.()
        continue
      }
      sender.outbox.fill(batcher, now, sender.flush)
      this.#filled.add(sender)
    }
    const [first] = this.#senders
    if (first !== undefined) {
      this.#senders.delete(first)
      this.#senders.add(first)
    }
  }

  async #connect(): Promise<Producer> {
    if (this.#producer !== null) return this.#producer
    const { kafka } = this.#options
    if (this.#partitions === 0) {
      const admin = await kafka.admin()
      try {
        this.#partitions = await admin.partitionCount(RAW)
      } finally {
        await admin.close()
      }
    }
    this.#producer = await kafka.producer()
    this.#everConnected = true
    return this.#producer
  }

  async #dropClient(): Promise<void> {
    const producer = this.#producer
    this.#producer = null
    await producer
      ?.close()
      .catch((error: unknown) => this.#options.log.debug({ err: error }, 'closing the client failed'))
  }

  #isOut(): boolean {
    return this.#options.faults?.isOut(this.#options.clock.mono() - this.#startedAt) === true
  }
}
