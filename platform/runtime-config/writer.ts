// Writes versions of the configuration, one at a time in the whole cluster: the transactional id `config-writer` stands
// for the right to write. Each write
//   1. fences: a former writer's transaction has ended, one way or the other, and it can write no more
//   2. reads the newest version, and compares it with the one that the change was made from
//   3. appends the next version and commits
// So versions have no gap, none is given out twice, and a change made from an old version is refused. Where a commit's
// answer is lost, or somebody else has fenced us, the log says what became of it.
import { KafkaError, PlumblineError } from '../errors.ts'
import type { Admin, Kafka, RangeReader } from '../kafka/port.ts'
import type { FetchSchema } from '../codec/register.ts'
import { CONFIG } from '../../schemas/topics.ts'
import { configBatch, ConfigReader } from './codec.ts'
import { checkConfig, checkScopes, type RuntimeConfig, NOTHING_SET, sameScopes, type Scopes } from './document.ts'
import type { BaseValues } from './settings.ts'

const TRANSACTIONAL_ID = 'config-writer'
const TRANSACTION_TIMEOUT_MS = 10_000
/** A version takes two places in the log: its record and the transaction's marker. */
const FIRST_LOOK = 32
/** Writes that wait for the one under way; people and a demonstration make no more. */
const WAITING_MAX = 16

/** The change was made from a version that is no longer the newest. */
export class LostUpdate extends PlumblineError {
  readonly current: number

  constructor(current: number, why: string) {
    super('LOST_UPDATE', `${why}; the current version is ${current}: read it and make the change again`)
    this.current = current
  }
}

export interface WriterOptions {
  readonly kafka: Kafka
  readonly now: () => number
  readonly fetchSchema: FetchSchema
  /** Of the topic's values; asked again while the registry is away. */
  readonly schemaId: () => Promise<number>
  readonly base: BaseValues
  /** The newest version that this process has seen; where somebody has made the topic anew, numbers go on from it. */
  readonly seen: () => RuntimeConfig
}

/** What the log is read by. */
interface ConfigLog {
  readonly admin: Admin
  readonly reader: RangeReader
}

export class ConfigWriter {
  readonly #options: WriterOptions
  readonly #reader: ConfigReader
  #waiting = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: WriterOptions) {
    this.#options = options
    // Not by this process's base values: a number was given out whether or not it would be acceptable here.
    this.#reader = new ConfigReader(options.fetchSchema)
  }

  /**
   * Makes `given` the whole configuration.
   * @param from the version that the change was made from; null: whichever is the newest
   * @throws InputError CONFIG_INVALID, LostUpdate, PlumblineError BUSY, KafkaError when nothing was written, as far as known
   */
  async write(given: unknown, from: number | null): Promise<RuntimeConfig> {
    const scopes = checkScopes(given, this.#options.base)
    if (this.#waiting >= WAITING_MAX)
      throw new PlumblineError('BUSY', `${WAITING_MAX} changes wait already, which is the limit`, { retriable: true })
    this.#waiting += 1
    const turn = this.#last.then(() => this.#writeInTurn(scopes, from)).finally(() => (this.#waiting -= 1))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async #writeInTurn(scopes: Scopes, from: number | null): Promise<RuntimeConfig> {
    try {
      return await this.#writeOnce(scopes, from)
    } catch (error) {
      if (!(error instanceof LostUpdate) || from !== null) throw error
      return this.#writeOnce(scopes, from)
    }
  }

  async #writeOnce(scopes: Scopes, from: number | null): Promise<RuntimeConfig> {
    const { kafka } = this.#options
    const schemaId = await this.#options.schemaId()
    const admin = await kafka.admin()
    const reader = await kafka.rangeReader()
    try {
      return await this.#append({ admin, reader }, schemaId, scopes, from)
    } finally {
      await Promise.allSettled([admin.close(), reader.close()])
    }
  }

  async #append(log: ConfigLog, schemaId: number, scopes: Scopes, from: number | null): Promise<RuntimeConfig> {
    const { kafka, now } = this.#options
    let next: RuntimeConfig | null = null
    const producer = await kafka.transactionalProducer({
      transactionalId: TRANSACTIONAL_ID,
      transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
    })
    try {
      await producer.fence()
      const { version } = await this.#newest(log)
      if (from !== null && from !== version) throw new LostUpdate(version, `the change was made from version ${from}`)
      next = checkConfig({ version: version + 1, at: now(), scopes })
      const transaction = await producer.begin()
      await transaction.send([configBatch(next, schemaId)])
      await transaction.commit()
      return next
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      return await this.#whatBecameOf(log, next, error)
    } finally {
      await producer.close().catch(() => undefined)
    }
  }

  /**
   * After an error: it was written, or another writer came in between, or nobody knows yet. Who fenced us has waited
   * for the end of our transaction, so the log is complete; otherwise we fence ourselves, which waits for it as well.
   */
  async #whatBecameOf(log: ConfigLog, next: RuntimeConfig | null, error: KafkaError): Promise<RuntimeConfig> {
    const isFenced = FENCED.has(error.code)
    if (next !== null) {
      if (!isFenced) await this.#fence()
      const written = await this.#newest(log, next.version)
      if (written.version === next.version && written.at === next.at && sameScopes(written.scopes, next.scopes))
        return next
    }
    if (!isFenced && error.code !== BEING_FENCED) throw error
    const { version } = await this.#newest(log)
    throw new LostUpdate(version, 'another change was made at the same time')
  }

  async #fence(): Promise<void> {
    const { kafka } = this.#options
    const producer = await kafka.transactionalProducer({
      transactionalId: TRANSACTIONAL_ID,
      transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
    })
    await producer.fence().finally(() => producer.close().catch(() => undefined))
  }

  /** The newest acceptable version in the log, looked for from its end; at most `upTo` where that is given. */
  async #newest({ admin, reader }: ConfigLog, upTo = Infinity): Promise<RuntimeConfig> {
    const [{ start, end }] = await admin.offsetRanges(CONFIG)
    let newest = upTo === Infinity ? this.#options.seen() : NOTHING_SET
    for (let to = end, width = FIRST_LOOK; to > start; width *= 4) {
      const from = Math.max(start, to - width)
      const below = to
      let found = false
      await reader.read({ topic: CONFIG, partition: 0 }, from, to, async ({ views }) => {
        for (const view of views) {
          for (let i = 0; i < view.count && view.offset(i) < below; i += 1) {
            if (view.offset(i) < from) continue
            const read = await this.#reader.read(view.key(i)?.toString('utf8') ?? '', view.value(i))
            if ('refused' in read) continue
            found = true
            if (read.config.version > newest.version && read.config.version <= upTo) newest = read.config
          }
        }
      })
      if (found && newest.version > 0) return newest
      to = from
    }
    return newest
  }
}

/** What the broker says to a producer whose place another one has taken. */
const FENCED: ReadonlySet<string> = new Set(['PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH'])
/** And to one whose place is just being taken. */
const BEING_FENCED = 'CONCURRENT_TRANSACTIONS'
