// What every test of the port's contract is built on: an environment that makes clients (the real broker's or the
// simulator's, on real or on virtual time), topics of its own for each test, and short words for writing and reading.
import { expect } from 'vitest'
import type { Admin, FetchedBatch, Kafka, OutgoingBatch, RangeReader, TransactionalProducer } from './port.ts'
import { RecordBatchBuilder } from './record-batch/builder.ts'

export interface PortEnvironment {
  readonly kafka: Kafka
  now(): number
  sleep(ms: number): Promise<void>
  /** Works through a test's body; virtual time passes only in here. */
  run(body: () => Promise<void>): Promise<void>
  /** Cleans a compacted topic, where that is not done by itself. */
  clean?(topic: string): void
  close(): Promise<void>
}

/** Longest wait for a state, in the environment's time, ms. */
const PATIENCE_MS = 30_000
const LOOK_MS = 20

export interface ReadRecord {
  readonly offset: number
  readonly value: string
}

/** Counts over all suites: names are never used twice on one broker. */
let names = 0

export const builderOf = (values: readonly string[]): RecordBatchBuilder => {
  const builder = new RecordBatchBuilder()
  for (const value of values) builder.add(Buffer.from('k'), Buffer.from(value))
  return builder
}

export const batchOf = (topic: string, partition: number, ...values: string[]): OutgoingBatch => ({
  topic,
  partition,
  records: builderOf(values),
})

export const recordsOf = ({ batches }: FetchedBatch): ReadRecord[] =>
  batches.flatMap((batch) =>
    Array.from({ length: batch.count }, (_, i) => ({ offset: batch.offset(i), value: String(batch.value(i)) })),
  )

export const valuesOf = (batches: readonly FetchedBatch[]): string[] =>
  batches.flatMap(recordsOf).map(({ value }) => value)

/** One test's clients; all are closed at its end. */
export class Workbench {
  readonly env: PortEnvironment
  readonly #open: { close(): Promise<void> }[] = []
  #admin: Admin | undefined
  #reader: RangeReader | undefined

  constructor(env: PortEnvironment) {
    this.env = env
  }

  keep<T extends { close(): Promise<void> }>(client: T): T {
    this.#open.push(client)
    return client
  }

  async admin(): Promise<Admin> {
    return (this.#admin ??= this.keep(await this.env.kafka.admin()))
  }

  async reader(): Promise<RangeReader> {
    return (this.#reader ??= this.keep(await this.env.kafka.rangeReader()))
  }

  /** A name that no other test has. */
  name(what: string): string {
    names += 1
    return `contract-${what}-${names}`
  }

  async topic(partitions = 1, configs: Readonly<Record<string, string>> = {}): Promise<string> {
    const name = this.name('topic')
    await (await this.admin()).ensureTopics([{ name, partitions, configs }])
    return name
  }

  async transactional(transactionalId: string, transactionTimeoutMs = 20_000): Promise<TransactionalProducer> {
    return this.keep(await this.env.kafka.transactionalProducer({ transactionalId, transactionTimeoutMs }))
  }

  /** Appends outside of transactions. */
  async send(...batches: OutgoingBatch[]): Promise<number[]> {
    const producer = await this.env.kafka.producer()
    return producer.send(batches).finally(() => producer.close())
  }

  /** A transaction of one batch, ended as asked; resolves with its first offset. */
  async transact(producer: TransactionalProducer, end: 'commit' | 'abort', batch: OutgoingBatch): Promise<number> {
    const transaction = await producer.begin()
    const [first] = await transaction.send([batch])
    await transaction[end]()
    return first
  }

  async endOf(topic: string, partition = 0): Promise<number> {
    return (await (await this.admin()).offsetRanges(topic))[partition].end
  }

  /** Waits until everything that was begun can be read up to `end`. */
  async untilStable(topic: string, end: number): Promise<void> {
    await this.until(async () => (await this.endOf(topic)) >= end)
  }

  /** Everything committed in [from, to), `to` being the end when it is left out. */
  async read(topic: string, partition = 0, from = 0, to?: number): Promise<ReadRecord[]> {
    const records: ReadRecord[] = []
    const until = to ?? (await this.endOf(topic, partition))
    const reader = await this.reader()
    await reader.read({ topic, partition }, from, until, (fetched) => void records.push(...recordsOf(fetched)))
    return records
  }

  async until(holds: () => boolean | Promise<boolean>): Promise<void> {
    for (let waited = 0; !(await holds()); waited += LOOK_MS) {
      expect(waited, 'waited too long').toBeLessThan(PATIENCE_MS)
      await this.env.sleep(LOOK_MS)
    }
  }

  async close(): Promise<void> {
    for (const client of this.#open.reverse()) await client.close().catch(() => undefined)
  }
}

/** The code of the KafkaError that it rejects with; anything else fails the test. */
export async function codeOfRejection(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toMatchObject({ name: 'KafkaError' })
  return (error as { code: string }).code
}
