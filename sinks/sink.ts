// The sink's protocol: consume clean, late and anomalies; the store's own offsets decide where reading begins.
//
//   assigned  → lanes for the partitions (all paused) → offsets from the store → refuse loudly if the log no longer
//               has them → seek → resume
//   batch     → decode (what cannot be read goes to the dead-letter topic first) → rows and offset into the store in
//               one transaction → the consumer may continue. A partition has one batch in flight, so memory is bounded.
//   brownout  → the store's breaker opens and all partitions are paused until a probe has closed it, see store-gate.ts
//   taken     → the lane turns inactive; a pending unit of it is dropped and read again by the next owner.
//   crash     → a new consumer, a bounded number of times, then the process ends for its supervisor (group-member.ts).
//
// Two sinks never both count: the store refuses a step that does not begin at its current offset.
import type { Clock } from '../platform/clock.ts'
import { KafkaError, messageOf } from '../platform/errors.ts'
import { type MemberLife, runGroupMember } from '../platform/kafka/group-member.ts'
import type { Admin, BatchContext, FetchedBatch, GroupConsumer, Kafka, TopicPartition } from '../platform/kafka/port.ts'
import { Tails } from '../platform/kafka/tails.ts'
import type { Logger } from '../platform/log.ts'
import type { Store } from '../platform/store/port.ts'
import type { FetchSchema } from '../platform/codec/register.ts'
import { ANOMALIES, CLEAN, LATE } from '../schemas/topics.ts'
import { BatchDecoder } from './batch-decoder.ts'
import { SinkPartition } from './core/sink-partition.ts'
import { DeadLetters, POISON } from './dead-letters.ts'
import { retryWhileWanted, settlesWithin } from './patience.ts'
import type { SinkMetrics } from './sink-metrics.ts'
import { Tracker } from './tracker.ts'
import { StoreWriter } from './writer.ts'

const TOPICS = [CLEAN, LATE, ANOMALIES]
const LOOK_EVERY_MS = 250
const RECREATE = { baseMs: 200, capMs: 2_000 }
/** While a batch waits for the store or the broker, membership is confirmed this often. */
const HEARTBEAT_MS = 1_000
/** The broker answers a fetch at once when it has data, otherwise after this long. */
const FETCH_WAIT_MS = 100
/** One fetch of one partition: some ten thousand readings. */
const FETCH_BYTES = 1_048_576
/** One more crash within the period ends the process. */
const CRASH_LIMIT = { crashesMax: 5, periodMs: 300_000 }

export interface SinkOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly kafka: Kafka
  readonly store: Pick<Store, 'read' | 'write'>
  readonly fetchSchema: FetchSchema
  readonly metrics: SinkMetrics
  readonly log: Logger
  readonly group: string
  readonly sessionTimeoutMs: number
  readonly refineGroup: string
  readonly lingerMs: number
  /** Deadline of one write to the store. */
  readonly writeTimeoutMs: number
}

export class Sink {
  readonly #options: SinkOptions
  readonly #admin: Admin & { close(): Promise<void> }
  readonly #deadLetters: DeadLetters
  readonly #closeReader: () => Promise<void>
  readonly writer: StoreWriter
  readonly tracker: Tracker
  #consumer: GroupConsumer | null = null
  #partitions = new Map<string, SinkPartition>()
  #stopping = false
  readonly #left = new AbortController()
  #membership: Promise<void> = Promise.resolve()
  #looking: Promise<void> = Promise.resolve()
  readonly #decoder: BatchDecoder
  #fail: (error: unknown) => void = () => {}
  /** Rejects when the sink cannot continue. */
  readonly failed: Promise<never>

  private constructor(
    options: SinkOptions,
    admin: Admin & { close(): Promise<void> },
    tails: Tails,
    closeReader: () => Promise<void>,
  ) {
    const { clock, random, store, lingerMs, writeTimeoutMs, log, metrics, kafka, refineGroup, fetchSchema } = options
    this.#options = options
    this.#admin = admin
    this.#closeReader = closeReader
    this.#deadLetters = new DeadLetters(kafka)
    this.#decoder = new BatchDecoder(fetchSchema, this.#deadLetters, metrics)
    this.writer = new StoreWriter({
      clock,
      random,
      store,
      lingerMs,
      timeoutMs: writeTimeoutMs,
      log,
      metrics,
      deadLetter: (fetched, rejects) => this.#deadLetters.send(fetched, rejects, POISON),
      onMoved: (partition) => this.#reload(partition),
      onOpen: (isOpen) => (isOpen ? this.#pauseAll() : this.#resumeAll()),
      onFailed: (error) => this.#fail(error),
    })
    this.tracker = new Tracker({ admin, tails, writer: this.writer, metrics, refineGroup })
    this.failed = new Promise((_resolve, reject) => (this.#fail = reject))
    this.failed.catch(() => undefined) // main.ts may not be listening yet; it is still notified later
  }

  /** Connects, joins the group and starts. The topics must exist. */
  static async start(options: SinkOptions): Promise<Sink> {
    const [admin, reader] = await Promise.all([options.kafka.admin(), options.kafka.rangeReader()])
    const sink = new Sink(options, admin, new Tails(reader), () => reader.close())
    await sink.#join()
    sink.#looking = sink.#lookRepeatedly()
    return sink
  }

  /** Finishes writes in flight, leaves the group, closes the connections; the store stays open. */
  async stop(): Promise<void> {
    this.#stopping = true
    const written = this.writer.stop()
    await this.#looking
    this.#left.abort()
    await this.#membership
    await written
    await Promise.all([this.#admin.close(), this.#deadLetters.close(), this.#closeReader()])
  }

  /** Resolves once the first consumer runs; rejects when none gets that far. */
  async #join(): Promise<void> {
    const { clock, random, log } = this.#options
    await new Promise<void>((resolve, reject) => {
      const member = { clock, random, log, name: 'the consumer', backoff: RECREATE, crashLimit: CRASH_LIMIT }
      const live = (): MemberLife => this.#live(resolve)
      this.#membership = runGroupMember({ ...member, live }, this.#left.signal).catch((error: unknown) => {
        reject(error as Error)
        this.#fail(error)
      })
    })
  }

  #live(onRunning: () => void): MemberLife {
    const consumer = this.#options.kafka.groupConsumer({
      group: this.#options.group,
      topics: TOPICS,
      maxWaitMs: FETCH_WAIT_MS,
      minBytes: 1,
      maxBytesPerPartition: FETCH_BYTES,
      sessionTimeoutMs: this.#options.sessionTimeoutMs,
      assignment: 'shared',
    })
    this.#consumer = consumer
    return {
      consumer,
      handlers: {
        onAssigned: (partitions) => this.#assign(partitions),
        onBatch: (fetched, context) => this.#work(fetched, context),
      },
      beside: onRunning,
      // On stop the partitions are kept: writes in flight are completed.
      release: (how) => {
        if (how === 'failed') this.#assign([])
      },
    }
  }

  /** Runs synchronously when the group has settled: from now on nothing of the old partitions is written. */
  #assign(assigned: readonly TopicPartition[]): void {
    const before = [...this.#partitions.values()]
    for (const partition of before) partition.revoke()
    this.tracker.reset(before)
    const partitions = assigned.map((at) => new SinkPartition(at))
    this.#partitions = new Map(partitions.map((partition) => [partition.name, partition]))
    this.#options.log.info({ partitions: partitions.length }, 'partitions assigned')
    this.#begin(partitions)
  }

  /** Another sink has advanced the store: the partition restarts from the store's offset. */
  #reload(moved: SinkPartition): void {
    if (this.#partitions.get(moved.name) !== moved) return
    const fresh = new SinkPartition(moved)
    this.#partitions.set(fresh.name, fresh)
    this.#consumer?.pause(fresh)
    this.#begin([fresh])
  }

  /** While the store is down nothing is fetched beyond what is already pending. */
  #pauseAll(): void {
    for (const partition of this.#partitions.values()) if (partition.advance !== null) this.#consumer?.pause(partition)
  }

  #resumeAll(): void {
    for (const partition of this.#partitions.values()) if (partition.advance !== null) this.#consumer?.resume(partition)
  }

  #begin(partitions: readonly SinkPartition[]): void {
    const isWanted = (): boolean => !this.#stopping && partitions.some(({ isRevoked }) => !isRevoked)
    const { clock, random, log } = this.#options
    const retry = { clock, random, log, isWanted }
    retryWhileWanted("reading the store's progress", retry, () => this.#seek(partitions)).catch(this.#fail)
  }

  /** May be repeated: partitions already found are left alone. */
  async #seek(partitions: readonly SinkPartition[]): Promise<void> {
    const progress = await this.#options.store.read((view) => view.progress())
    for (const topic of new Set(partitions.map((partition) => partition.topic))) {
      const ranges = await this.#admin.offsetRanges(topic)
      for (const partition of partitions) {
        if (partition.topic !== topic || partition.state.kind !== 'seeking') continue
        const saved = progress.find((row) => row.topic === topic && row.partition === partition.partition)
        const { start, end } = ranges[partition.partition]
        if (saved !== undefined) refuseGap(partition, saved.offset, start, end)
        else if (start > 0)
          this.#options.log.warn(
            { topic, partition: partition.partition, start },
            `the store is new and retention has removed the first ${start} offsets: it begins without them`,
          )
        const position = saved?.offset ?? start
        partition.found(saved?.offset ?? null, position, saved?.throughMs ?? null)
        this.#consumer?.seek(partition, position)
        if (!this.writer.isOpen) this.#consumer?.resume(partition)
        // A new store learns at once which partitions there are, so that a silent one is not overlooked.
        if (saved === undefined) this.writer.touch(partition)
      }
    }
  }

  async #work(fetched: FetchedBatch, context: BatchContext): Promise<void> {
    const partition = this.#partitions.get(keyOf(fetched))
    const before = partition?.advance ?? null
    if (partition === undefined || before === null || context.isStale() || fetched.nextOffset <= before.position) return
    const isWanted = (): boolean => !partition.isRevoked && !context.isStale() && !this.#stopping
    const { clock, random, log } = this.#options
    const retry = { clock, random, log, isWanted, heartbeat: context.heartbeat }
    const decoded = await this.#decoder.decode(fetched, partition, before.position, retry)
    // The position may already have passed this batch's tail, see tracker.ts.
    if (decoded === null || !isWanted() || decoded.nextOffset <= (partition.advance?.position ?? Infinity)) return
    const outcome = this.writer.submit(decoded)
    try {
      while (!(await settlesWithin(outcome, HEARTBEAT_MS, clock))) await context.heartbeat()
    } catch (error) {
      // The group is being rearranged and the store still refuses: the next owner reads the batch again.
      partition.revoke()
      await outcome
      throw error
    }
  }

  async #lookRepeatedly(): Promise<void> {
    const { clock, log } = this.#options
    while (!this.#stopping) {
      const consumer = this.#consumer
      const partitions = [...this.#partitions.values()]
      try {
        await this.tracker.look(partitions, clock.now())
        if (consumer !== null) await this.tracker.commit(consumer, partitions, clock.now())
      } catch (error) {
        // Freshness does not advance meanwhile, and the query API's answers say so.
        log.warn({ reason: messageOf(error) }, 'looking at the log failed; trying again')
      }
      await clock.sleep(LOOK_EVERY_MS)
    }
  }
}

/** The store's offset must be within the log: otherwise records are missing in between, and nobody would notice. */
function refuseGap({ topic, partition }: TopicPartition, offset: number, start: number, end: number): void {
  const at = { topic, partition, offset }
  if (offset < start) {
    const lost = `${topic}/${partition}: the store is at offset ${offset} and the log begins at ${start}`
    throw new KafkaError(
      'OFFSET_OUT_OF_RANGE',
      `${lost}: ${start - offset} offsets were removed (retention, or DeleteRecords) before they were stored; to continue without them: plumbline partitions accept-loss ${topic} ${partition}`,
      at,
    )
  }
  if (offset > end) {
    const ahead = `${topic}/${partition}: the store is at offset ${offset} and the log ends at ${end}`
    throw new KafkaError(
      'OFFSET_OUT_OF_RANGE',
      `${ahead}: the topic was recreated; use a new store file or the old topic`,
      at,
    )
  }
}

const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`
