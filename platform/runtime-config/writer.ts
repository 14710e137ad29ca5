// Writes versions of the configuration, one at a time in the whole cluster: the transactional id `config-writer` is the
// right to write. Each write
//   1. fences: a previous writer's transaction has ended, committed or aborted, and it can write no more
//   2. reads the newest version, and compares it with the one that the change was made from
//   3. appends the next version and commits
// So versions have no gap, none is used twice, and a change made from an old version is refused. Where the answer to a
// commit is lost, or another writer has fenced us, the log shows the outcome.
import { KafkaError, PlumblineError } from '../errors.ts'
import type { Admin, Kafka, RangeReader } from '../kafka/port.ts'
import type { FetchSchema } from '../codec/register.ts'
import { CONFIG } from '../../schemas/topics.ts'
import { configBatch, ConfigReader } from './codec.ts'
import { checkConfig, checkScopes, type RuntimeConfig, NOTHING_SET, sameScopes, type Scopes } from './document.ts'
import type { BaseValues } from './settings.ts'
import { isFenced } from '../kafka/error-codes.ts'

const TRANSACTIONAL_ID = 'config-writer'
const TRANSACTION_TIMEOUT_MS = 10_000
/** A version takes two offsets in the log: its record and the transaction's marker. */
const FIRST_LOOK = 32
/** Writes that may wait for the current one: more than people make at a time. */
const WAITING_MAX = 16

export type ConfigWriteErrorCode = 'LOST_UPDATE' | 'BUSY'

/** A change was not made. */
export class ConfigWriteError extends PlumblineError<ConfigWriteErrorCode> {
  constructor(code: ConfigWriteErrorCode, message: string, retriable = false) {
    super(code, message, { retriable })
  }
}

/** The change was made from a version that is no longer the newest. */
export class LostUpdate extends ConfigWriteError {
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
  /** The id of the schema of the topic's values; asked again while the registry cannot be reached. */
  readonly schemaId: () => Promise<number>
  readonly base: BaseValues
  /** The newest version that this process has seen; where the topic was recreated, numbers continue from it. */
  readonly seen: () => RuntimeConfig
}

/** The clients that read the log. */
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
    // Without this process's base values: a number is used whether or not the version is acceptable here.
    this.#reader = new ConfigReader(options.fetchSchema)
  }

  /**
   * Makes `given` the whole configuration.
   * @param from the version that the change was made from; null: whichever is the newest
   * @throws InputError CONFIG_INVALID, LostUpdate, ConfigWriteError BUSY; KafkaError when nothing was written, as far as is known
   */
  async write(given: unknown, from: number | null): Promise<RuntimeConfig> {
    const scopes = checkScopes(given, this.#options.base)
    if (this.#waiting >= WAITING_MAX)
      throw new ConfigWriteError('BUSY', `${WAITING_MAX} changes are waiting already, which is the limit`, true)
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
      return await this.#outcomeOf(log, next, error)
    } finally {
      await producer.close().catch(() => undefined)
    }
  }

  /**
   * After an error: it was written, or another writer intervened, or it is not known yet. Anyone who fenced us has waited
   * for the end of our transaction, so the log is complete; otherwise we fence ourselves, which waits for it as well.
   */
  async #outcomeOf(log: ConfigLog, next: RuntimeConfig | null, error: KafkaError): Promise<RuntimeConfig> {
    const wasFenced = isFenced(error.code)
    if (next !== null) {
      if (!wasFenced) await this.#fence()
      const written = await this.#newest(log, next.version)
      if (written.version === next.version && written.at === next.at && sameScopes(written.scopes, next.scopes))
        return next
    }
    // Concurrent: it is being fenced at the moment.
    if (!wasFenced && error.code !== 'CONCURRENT_TRANSACTIONS') throw error
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

  /** The newest acceptable version in the log, searched from its end; at most `upTo` where that is given. */
  async #newest({ admin, reader }: ConfigLog, upTo = Infinity): Promise<RuntimeConfig> {
    const [{ start, end }] = await admin.offsetRanges(CONFIG)
    let newest = upTo === Infinity ? this.#options.seen() : NOTHING_SET
    for (let to = end, width = FIRST_LOOK; to > start; width *= 4) {
      const from = Math.max(start, to - width)
      const below = to
      let found = false
      await reader.read({ topic: CONFIG, partition: 0 }, from, to, async ({ batches }) => {
        for (const batch of batches) {
          for (let i = 0; i < batch.count && batch.offset(i) < below; i += 1) {
            if (batch.offset(i) < from) continue
            const read = await this.#reader.read(batch.key(i)?.toString('utf8') ?? '', batch.value(i))
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
