// A group member as kafkajs runs it: one loop that fetches all its partitions, processes the result with one handler per
// partition at a time, and only then fetches again. There is no background heartbeat: one is sent between batches, when
// a handler asks for it, and on an idle poll. A rebalance waits for the running handlers; a member that takes too long is
// replaced in the meantime and finds out later.
// Sources: kafkajs 2.2.4, consumer/runner.js, fetchManager.js, fetcher.js, consumerGroup.js.
import { KafkaError } from '../../platform/errors.ts'
import type {
  BatchContext,
  ConsumerHandlers,
  FetchedBatch,
  GroupConsumer,
  GroupConsumerOptions,
  TopicPartition,
} from '../../platform/kafka/port.ts'
import { codeOf, refused } from './errors.ts'
import { type FetchOf, fetchRanges, batchesOf } from './fetch.ts'
import type { Group, Joined } from './groups.ts'
import type { Link } from './link.ts'
import type { FetchedRange } from './log.ts'
import { offsetKey } from './transactions.ts'
import type { KafkaErrorCode } from '../../platform/kafka/error-codes.ts'
import { kafkaErrorCode } from '../../platform/kafka/error-codes.ts'

const REBALANCE_MS_MIN = 20_000
const HEARTBEAT_MS_MIN = 300
/** Same as the real adapter's retry settings: attempts, and the waits between them. */
const TRIES = 18
const RETRY_MS = 50
const RETRY_MS_MAX = 1_000
/** These make a member rejoin; the last one, as a new member. */
const REJOIN: ReadonlySet<KafkaErrorCode> = new Set([
  'REBALANCE_IN_PROGRESS',
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
])

export class SimGroupConsumer implements GroupConsumer {
  readonly #link: Link
  readonly #options: GroupConsumerOptions
  readonly #group: Group
  readonly #rebalanceTimeoutMs: number
  readonly #heartbeatMs: number
  #handlers: ConsumerHandlers | null = null
  #member: Joined | null = null
  #running = false
  #joined = false
  #failures = 0
  /** Counts assignments for the service, as the adapter does. */
  #generation = 0
  #assigned: readonly TopicPartition[] = []
  #positions = new Map<string, number>()
  readonly #paused = new Set<string>()
  readonly #seeks = new Map<string, number>()
  #lastHeartbeatMs: number
  #heartbeat: Promise<void> | null = null
  #loop: Promise<void> = Promise.resolve()

  constructor(link: Link, options: GroupConsumerOptions) {
    this.#link = link
    this.#options = options
    this.#group = link.server.group(options.group)
    this.#rebalanceTimeoutMs = Math.max(options.sessionTimeoutMs, REBALANCE_MS_MIN)
    this.#heartbeatMs = Math.max(HEARTBEAT_MS_MIN, Math.floor(options.sessionTimeoutMs / 6))
    this.#lastHeartbeatMs = link.server.clock.mono()
  }

  async run(handlers: ConsumerHandlers): Promise<void> {
    this.#handlers = handlers
    await this.#link.call({ call: 'Metadata', patient: true }, () => {
      for (const topic of this.#options.topics) this.#link.server.topics.topic(topic)
    })
    this.#running = true
    await this.#step(() => this.#join())
    this.#loop = this.#consume()
  }

  seek(at: TopicPartition, offset: number): void {
    this.#seeks.set(offsetKey(at), offset)
  }

  pause(at: TopicPartition): void {
    this.#paused.add(offsetKey(at))
  }

  resume(at: TopicPartition): void {
    this.#paused.delete(offsetKey(at))
  }

  async commit({ topic, partition }: TopicPartition, offset: number): Promise<void> {
    const member = this.#member
    if (member === null) throw refused('UNKNOWN_MEMBER_ID', 'the consumer is not in its group')
    await this.#link.call({ call: 'OffsetCommit', topics: [topic] }, () =>
      this.#group.commit(member.memberId, member.generation, [{ topic, partition, offset, metadata: '' }]),
    )
  }

  async close(): Promise<void> {
    this.#running = false
    await this.#loop
    await this.#leave()
  }

  async #consume(): Promise<void> {
    while (this.#running) await this.#step(() => (this.#joined ? this.#poll() : this.#join()))
  }

  /** Runs one step and decides on its error: rejoin, retry, rejoin as a new member, or stop. */
  async #step(action: () => Promise<void>): Promise<void> {
    try {
      await action()
      this.#failures = 0
    } catch (error) {
      if (!this.#running) return
      if (REJOIN.has(codeOf(error))) {
        this.#joined = false
        return
      }
      if (!isRetriable(error)) return this.#crash(error)
      this.#failures += 1
      if (this.#failures > TRIES) await this.#startAnew()
      await this.#link.sleep(Math.min(RETRY_MS * this.#failures, RETRY_MS_MAX))
    }
  }

  /** The client gives up after its attempts and, if the error is retriable, restarts with a new member. */
  async #startAnew(): Promise<void> {
    this.#joined = false
    this.#failures = 0
    await this.#leave().catch(() => undefined)
  }

  /** Joins until the group has settled with this member in it, and tells the service, synchronously. */
  async #join(): Promise<void> {
    while (this.#running) {
      try {
        const { memberId, generation } = await this.#joinOnce()
        const sync = (): Promise<readonly TopicPartition[]> => this.#group.sync(memberId, generation)
        this.#assigned = await this.#link.call({ call: 'SyncGroup', patient: true }, sync)
        break
      } catch (error) {
        if (codeOf(error) === 'UNKNOWN_MEMBER_ID') this.#member = null
        if (!REJOIN.has(codeOf(error))) throw error
        await this.#link.sleep(RETRY_MS)
      }
    }
    if (!this.#running) return
    this.#joined = true
    this.#generation += 1
    this.#positions = new Map()
    for (const at of this.#assigned) this.pause(at)
    this.#handlers?.onAssigned([...this.#assigned], this.#generation)
  }

  async #joinOnce(): Promise<Joined> {
    const { topics, sessionTimeoutMs, assignment } = this.#options
    const claim = assignment === 'shared' ? null : assignment.claim()
    this.#member = await this.#link.call({ call: 'JoinGroup', patient: true }, () =>
      this.#group.join({
        memberId: this.#member?.memberId ?? null,
        client: this.#link.client,
        topics,
        sessionTimeoutMs,
        rebalanceTimeoutMs: this.#rebalanceTimeoutMs,
        claim,
      }),
    )
    return this.#member
  }

  async #poll(): Promise<void> {
    await this.#findPositions()
    const active = this.#assigned.filter((at) => !this.#paused.has(offsetKey(at)))
    if (active.length === 0) {
      await this.#link.sleep(this.#options.maxWaitMs)
      return this.#beat()
    }
    const { maxBytesPerPartition: maxBytes } = this.#options
    const requests = active.map((at) => ({ ...at, from: this.#positions.get(offsetKey(at))!, maxBytes }))
    const ranges = await this.#link.call({ call: 'Fetch', topics: this.#options.topics, patient: true }, () => {
      const { server } = this.#link
      const fetches: FetchOf[] = requests.map((one) => ({ ...one, log: server.topics.log(one) }))
      return fetchRanges(server, fetches, this.#options)
    })
    const work = requests.flatMap((at, i) => {
      const key = offsetKey(at)
      return this.#paused.has(key) || this.#seeks.has(key) ? [] : [{ at, range: ranges[i] }]
    })
    if (work.length === 0) return this.#beat()
    // All are processed, even if one of them fails.
    const outcomes = await Promise.allSettled(work.map(({ at, range }) => this.#handle(at, at.from, range)))
    const failed = outcomes.find(({ status }) => status === 'rejected')
    if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
  }

  /** Where to read next: the service's seek position, the current position, or the committed offset. */
  async #findPositions(): Promise<void> {
    for (const at of this.#assigned) {
      const key = offsetKey(at)
      const sought = this.#seeks.get(key)
      if (sought !== undefined) this.#positions.set(key, sought)
      this.#seeks.delete(key)
    }
    const missing = this.#assigned.filter((at) => !this.#positions.has(offsetKey(at)))
    if (missing.length === 0) return
    const offsets = await this.#link.call({ call: 'OffsetFetch', patient: true }, () =>
      missing.map((at) => this.#group.committed(at)?.offset ?? this.#link.server.topics.log(at).start),
    )
    missing.forEach((at, i) => this.#positions.set(offsetKey(at), offsets[i]))
  }

  async #handle(at: TopicPartition, from: number, range: FetchedRange): Promise<void> {
    if (!this.#running) return
    const last = range.batches.at(-1)
    if (last === undefined) return this.#beat()
    const nextOffset = last.lastOffset + 1
    const batches = batchesOf(range, from)
    // Nothing but markers and aborted records: the client continues without telling the service.
    if (batches.length === 0) {
      this.#positions.set(offsetKey(at), nextOffset)
      return this.#beat()
    }
    const { topic, partition } = at
    const fetched: FetchedBatch = { topic, partition, batches, nextOffset, endOffset: range.lastStableOffset }
    const isStale = (): boolean => this.#seeks.has(offsetKey(at)) || !this.#running
    const context: BatchContext = { isStale, heartbeat: () => this.#beat() }
    await this.#handlers!.onBatch(fetched, context)
    if (isStale()) return
    this.#positions.set(offsetKey(at), nextOffset)
    await this.#beat()
  }

  /** Sends a heartbeat when one is due; concurrent callers share it. */
  #beat(): Promise<void> {
    this.#heartbeat ??= this.#beatIfDue().finally(() => (this.#heartbeat = null))
    return this.#heartbeat
  }

  async #beatIfDue(): Promise<void> {
    const { clock } = this.#link.server
    const member = this.#member
    if (member === null || clock.mono() < this.#lastHeartbeatMs + this.#heartbeatMs) return
    await this.#link.call({ call: 'Heartbeat', patient: true }, () =>
      this.#group.heartbeat(member.memberId, member.generation),
    )
    this.#lastHeartbeatMs = clock.mono()
    this.#handlers?.onHeartbeat?.()
  }

  async #crash(error: unknown): Promise<void> {
    this.#running = false
    await this.#leave().catch(() => undefined)
    const { name, message } = error instanceof Error ? error : new Error(String(error))
    this.#handlers?.onCrash(
      error instanceof KafkaError
        ? error
        : new KafkaError(kafkaErrorCode(name), `consuming: ${message}`, { cause: error }),
    )
  }

  async #leave(): Promise<void> {
    const member = this.#member
    if (member === null) return
    this.#member = null
    await this.#link.call({ call: 'LeaveGroup', patient: true }, () => this.#group.leave(member.memberId))
  }
}

/** The client retries after any error that is not marked final. */
const isRetriable = (error: unknown): boolean => !(error instanceof KafkaError) || error.retriable
