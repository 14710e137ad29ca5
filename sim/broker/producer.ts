// Producers as the real adapter shows them. The transactional one is the client's state machine: connecting fences
// nobody, an empty transaction sends nothing, sequences roll back after a failed send, and a failed commit leaves the
// object unusable. So a service that reuses one after an error sees what it would see in production.
// Sources: kafkajs 2.2.4, producer/eosManager/index.js and producer/sendMessages.js.
import type { KafkaError } from '../../platform/errors.ts'
import type {
  OffsetCommit,
  OutgoingBatch,
  Producer,
  Transaction,
  TransactionalProducer,
  TransactionalProducerOptions,
} from '../../platform/kafka/port.ts'
import { NO_PRODUCER } from './batch.ts'
import { codeOf, refused } from './errors.ts'
import { Channel, type Link } from './link.ts'
import type { PartitionLog } from './log.ts'
import { type Identity, offsetKey } from './transactions.ts'

const METADATA_BYTES_MAX = 4_096
/** How long the real adapter waits for a coordinator that is still writing markers. */
const NOT_YET_TRIES = 500
const NOT_YET_WAIT_MS = 10
const NO_SEQUENCE = -1

export class SimProducer implements Producer {
  readonly #link: Link
  readonly #channel = new Channel()
  #closed = false

  constructor(link: Link) {
    this.#link = link
  }

  async send(batches: readonly OutgoingBatch[]): Promise<number[]> {
    check(batches)
    if (this.#closed) throw misuse('The producer is disconnected')
    const { server } = this.#link
    const encoded = batches.map(({ records }) =>
      Buffer.from(records.finish(server.nowMs(), NO_PRODUCER, 0, NO_SEQUENCE, false)),
    )
    const request = { call: 'Produce', topics: topicsOf(batches), channel: this.#channel } as const
    return this.#link.call(request, () =>
      batches.map((batch, i) => {
        const log = server.topics.log(batch)
        server.topics.checkSize(batch, encoded[i].length)
        return log.append(encoded[i], server.nowMs())
      }),
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#link.sleep(0)
  }
}

type State = 'uninitialized' | 'ready' | 'transacting' | 'committing' | 'aborting'

export class SimTransactionalProducer implements TransactionalProducer {
  readonly #link: Link
  readonly #options: TransactionalProducerOptions
  readonly #session: Session

  constructor(link: Link, options: TransactionalProducerOptions) {
    this.#link = link
    this.#options = options
    this.#session = new Session(link, options.transactionalId)
  }

  async fence(): Promise<void> {
    const empty = await this.begin()
    await empty.abort()
  }

  async begin(): Promise<Transaction> {
    const session = this.#session
    if (session.closed) throw misuse('The producer is disconnected')
    if (session.state === 'transacting') throw misuse('There is already an ongoing transaction for this producer')
    if (session.state === 'uninitialized') {
      const { transactionalId, transactionTimeoutMs } = this.#options
      session.identity = await untilReady(this.#link, () =>
        this.#link.call({ call: 'InitProducerId' }, () =>
          this.#link.server.transactions.initProducerId(transactionalId, transactionTimeoutMs),
        ),
      )
      session.state = 'ready'
    }
    if (session.state !== 'ready') throw misuse(`Invalid transition ${session.state} --> transacting`)
    session.state = 'transacting'
    session.logs.clear()
    session.hasOffsets = false
    return new SimTransaction(session)
  }

  async close(): Promise<void> {
    this.#session.closed = true
    await this.#link.sleep(0)
  }
}

/** What the client keeps of a transactional id between its transactions. */
class Session {
  readonly link: Link
  readonly id: string
  state: State = 'uninitialized'
  closed = false
  identity: Identity = { producerId: NO_PRODUCER, epoch: -1 }
  /** Partitions of the transaction known to the coordinator. */
  readonly logs = new Set<PartitionLog>()
  hasOffsets = false
  readonly #sequences = new Map<string, number>()
  /** One request at a time, as `maxInFlightRequests: 1` has it. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(link: Link, id: string) {
    this.link = link
    this.id = id
  }

  inTurn<T>(request: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(request, request)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** The partition's next sequence, advanced by `count`. */
  advance(batch: OutgoingBatch, count: number): number {
    const key = offsetKey(batch)
    const first = this.#sequences.get(key) ?? 0
    this.#sequences.set(key, first + count)
    return first
  }
}

class SimTransaction implements Transaction {
  readonly #session: Session
  #ended = false

  constructor(session: Session) {
    this.#session = session
  }

  async send(batches: readonly OutgoingBatch[]): Promise<number[]> {
    check(batches)
    this.#assertActive()
    const session = this.#session
    return session.inTurn(() => untilReady(session.link, () => this.#produce(batches)))
  }

  async sendOffsets(group: string, offsets: readonly OffsetCommit[]): Promise<void> {
    if (offsets.some(({ metadata }) => Buffer.byteLength(metadata) > METADATA_BYTES_MAX))
      throw new RangeError(`offset metadata is longer than ${METADATA_BYTES_MAX} bytes`)
    this.#assertActive()
    const { link, id, identity } = this.#session
    const { transactions } = link.server
    await untilReady(link, async () => {
      await link.call({ call: 'AddOffsetsToTxn' }, () => transactions.addGroup(id, identity, group))
      this.#session.hasOffsets = true
      await link.call({ call: 'TxnOffsetCommit' }, () => transactions.sendOffsets(id, identity, group, offsets))
    })
  }

  async commit(): Promise<void> {
    await this.#end(true)
  }

  async abort(): Promise<void> {
    await this.#end(false)
  }

  async #produce(batches: readonly OutgoingBatch[]): Promise<number[]> {
    const session = this.#session
    const { link, id, identity } = session
    const { server } = link
    const topics = topicsOf(batches)
    const logs = batches.map((batch) => server.topics.log(batch))
    const fresh = logs.filter((log) => !session.logs.has(log))
    if (fresh.length > 0) {
      await link.call({ call: 'AddPartitionsToTxn', topics }, () =>
        server.transactions.addPartitions(id, identity, fresh),
      )
      for (const log of fresh) session.logs.add(log)
    }
    const { producerId, epoch } = identity
    const encoded = batches.map((batch) => {
      const sequence = session.advance(batch, batch.records.count)
      return Buffer.from(batch.records.finish(server.nowMs(), producerId, epoch, sequence, true))
    })
    try {
      return await link.call({ call: 'Produce', topics }, () =>
        logs.map((log, i) => {
          server.transactions.verify(id, identity, log)
          server.topics.checkSize(log, encoded[i].length)
          return log.append(encoded[i], server.nowMs())
        }),
      )
    } catch (error) {
      for (const batch of batches) session.advance(batch, -batch.records.count)
      throw error
    }
  }

  async #end(commit: boolean): Promise<void> {
    this.#assertActive()
    const session = this.#session
    const { link, id, identity } = session
    session.state = commit ? 'committing' : 'aborting'
    if (session.logs.size > 0 || session.hasOffsets)
      await link.call({ call: 'EndTxn' }, () => link.server.transactions.end(id, identity, commit))
    session.state = 'ready'
    this.#ended = true
  }

  #assertActive(): void {
    const { state, closed } = this.#session
    if (closed) throw misuse('The producer is disconnected')
    if (this.#ended || state !== 'transacting') throw misuse('Cannot continue to use transaction once ended')
  }
}

/** Retries requests refused only because the last transaction's markers are still being written. */
async function untilReady<T>(link: Link, request: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await request()
    } catch (error) {
      if (codeOf(error) !== 'CONCURRENT_TRANSACTIONS' || tries >= NOT_YET_TRIES) throw error
      await link.sleep(NOT_YET_WAIT_MS)
    }
  }
}

function check(batches: readonly OutgoingBatch[]): void {
  const seen = new Set<string>()
  for (const batch of batches) {
    const key = offsetKey(batch)
    if (batch.records.count === 0) throw new RangeError(`an empty batch for ${key}`)
    if (seen.has(key)) throw new RangeError(`two batches for ${key} in one request`)
    seen.add(key)
  }
}

const topicsOf = (batches: readonly OutgoingBatch[]): string[] => batches.map(({ topic }) => topic)
const misuse = (message: string): KafkaError => refused('KafkaJSNonRetriableError', message)
