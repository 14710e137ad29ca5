// A third party that writes readings to raw in transactions and leaves them open for seconds: nothing after their first
// record can be read until they end. It may commit, abort, or be killed; its next life then ends what it left.
import { sensorKey } from '../platform/codec/identity.ts'
import { encodeFramed, readingType } from '../platform/codec/reading.ts'
import { partitionOfKey } from '../platform/kafka/partitioner.ts'
import type { Kafka } from '../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../platform/kafka/record-batch/builder.ts'
import { METRICS } from '../schemas/metrics.ts'
import { RAW } from '../schemas/topics.ts'
import { type Accepted, identityOf } from './accepted.ts'
import type { Life } from './life.ts'
import { chance, type Random, whole } from './random.ts'
import { DECLARED } from './registry.ts'

const TIMEOUT_MS = 20_000
const OPEN_MS_MAX = 3_000
const PAUSE_MS_MAX = 1_500
const READINGS_MAX = 3
const COMMITS = 0.6
/** While its work is to be done with: nothing happens. */
const IDLE_MS = 200
const NULLS = Object.fromEntries(METRICS.map(({ name }) => [name, null]))

export interface TransactorOptions {
  readonly life: Life
  readonly kafka: Kafka
  readonly random: Random
  readonly partitions: number
  readonly accepted: Accepted
  /** Never given before, in any life. */
  readonly claimSeq: () => number
  readonly isWorking: () => boolean
}

/** Never ends by itself. */
export async function runTransactor(options: TransactorOptions): Promise<void> {
  const { life, kafka, random, isWorking } = options
  for (;;) {
    const producer = await kafka.transactionalProducer({ transactionalId: 'other', transactionTimeoutMs: TIMEOUT_MS })
    try {
      // What a former life has left open is aborted.
      await producer.fence()
      while (isWorking()) {
        const transaction = await producer.begin()
        const identities: string[] = []
        for (let i = whole(random, 1, READINGS_MAX); i > 0; i -= 1) {
          const { identity, partition, records } = makeReading(options)
          await transaction.send([{ topic: RAW, partition, records }])
          identities.push(identity)
        }
        await life.clock.sleep(random() * OPEN_MS_MAX)
        if (chance(random, COMMITS)) {
          await transaction.commit()
          for (const identity of identities) options.accepted.add(identity)
        } else await transaction.abort()
        await life.clock.sleep(random() * PAUSE_MS_MAX)
      }
      while (!isWorking()) await life.clock.sleep(IDLE_MS)
    } catch {
      await life.clock.sleep(IDLE_MS)
    } finally {
      await producer.close().catch(() => undefined)
    }
  }
}

function makeReading({ life, random, partitions, claimSeq }: TransactorOptions): {
  identity: string
  partition: number
  records: RecordBatchBuilder
} {
  const sensor = `transactor-${whole(random, 0, 5)}`
  const key = sensorKey('other', sensor)
  const bytes = Buffer.from(key)
  // Each under an epoch of its own: an aborted one leaves no gap to wait for.
  const reading = { epoch: claimSeq(), seq: 0, ts: life.clock.now() }
  const value = encodeFramed(readingType, DECLARED.id, {
    tenant_id: 'other',
    site_id: 's',
    node_id: 'n',
    sensor_id: sensor,
    ...reading,
    mono_ms: 0,
    ...NULLS,
    temperature_c: 20,
    tags: {},
  })
  const records = new RecordBatchBuilder()
  records.add(bytes, value)
  return {
    identity: identityOf({ ...reading, key }),
    partition: partitionOfKey(bytes, partitions),
    records,
  }
}
