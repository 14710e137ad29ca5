// Decodes a fetched batch. New schema ids are looked up first, and a record that cannot be read is in the
// dead-letter topic before its batch proceeds, so progress never passes a record that has been stored nowhere.
import type { FetchSchema } from '../platform/codec/register.ts'
import { METRIC_NAMES, type Reading } from '../platform/codec/reading.ts'
import type { FetchedBatch } from '../platform/kafka/port.ts'
import type { Anomaly } from '../platform/store/port.ts'
import { ANOMALIES } from '../schemas/topics.ts'
import { Codecs } from './codecs.ts'
import { anomalyCodec, collectSchemaIds, decodeBatch, type Decoded, readingCodec } from './core/decode.ts'
import type { SinkPartition } from './core/sink-partition.ts'
import type { DecodedBatch } from './core/write-batch.ts'
import { type DeadLetters, UNREADABLE } from './dead-letters.ts'
import { retryWhileWanted, type WhileWanted } from './patience.ts'
import type { SinkMetrics } from './sink-metrics.ts'

/** One source that sends empty readings must not fill the log; the metric counts all of them. */
const QUIET_MS = 60_000

export class BatchDecoder {
  readonly #deadLetters: DeadLetters
  readonly #metrics: SinkMetrics
  readonly #readings: Codecs<Reading>
  readonly #anomalies: Codecs<Anomaly>
  #quietUntilMs = -Infinity

  constructor(fetchSchema: FetchSchema, deadLetters: DeadLetters, metrics: SinkMetrics) {
    this.#deadLetters = deadLetters
    this.#metrics = metrics
    this.#readings = new Codecs(fetchSchema, readingCodec)
    this.#anomalies = new Codecs(fetchSchema, anomalyCodec)
  }

  /** Decodes the records at or after `position`. Null when the batch is no longer wanted. */
  async decode(
    fetched: FetchedBatch,
    partition: SinkPartition,
    position: number,
    retry: WhileWanted,
  ): Promise<DecodedBatch | null> {
    const { nextOffset } = fetched
    if (fetched.topic === ANOMALIES) {
      const decoded = await this.#decode(fetched, position, this.#anomalies, retry)
      if (decoded === null) return null
      const { values, offsets } = decoded
      return {
        partition,
        batch: fetched,
        nextOffset,
        offsets,
        readings: [],
        anomalies: values,
        versions: NONE,
        arrivals: NONE,
      }
    }
    const decoded = await this.#decode(fetched, position, this.#readings, retry)
    if (decoded === null) return null
    const { values, versions, arrivals, offsets } = decoded
    this.#reportEmpty(fetched, values, retry)
    return { partition, batch: fetched, nextOffset, offsets, readings: values, anomalies: [], versions, arrivals }
  }

  /** They are stored, as their numbers are part of a sequence; but nobody sends nothing on purpose. */
  #reportEmpty({ topic, partition }: FetchedBatch, readings: readonly Reading[], { log, clock }: WhileWanted): void {
    const [first, ...rest] = readings.filter(isEmpty)
    if (first === undefined) return
    this.#metrics.withoutMetric.inc({ topic }, 1 + rest.length)
    if (clock.mono() < this.#quietUntilMs) return
    this.#quietUntilMs = clock.mono() + QUIET_MS
    const { tenant_id: tenant, sensor_id: sensor, ts } = first
    log.warn(
      { topic, partition, readings: 1 + rest.length, tenant, sensor, ts },
      'readings without any metric were stored; does their schema name the metrics as schemas/reading.avsc does?',
    )
  }

  async #decode<T>(
    fetched: FetchedBatch,
    position: number,
    codecs: Codecs<T>,
    retry: WhileWanted,
  ): Promise<Decoded<T> | null> {
    const ids = collectSchemaIds(fetched, position)
    const known = await retryWhileWanted('asking the schema registry', retry, () => codecs.learn(ids))
    if (known === null) return null
    const decoded = decodeBatch(fetched, position, known)
    if (decoded.rejects.length === 0) return decoded
    const { topic, partition } = fetched
    const { length: records, 0: first } = decoded.rejects
    retry.log.warn(
      { topic, partition, records, reason: first.reason },
      'unreadable records; sending them to the dead-letter topic',
    )
    const send = async (): Promise<true> => {
      await this.#deadLetters.send(fetched, decoded.rejects, UNREADABLE)
      return true
    }
    if ((await retryWhileWanted('sending dead letters', retry, send)) === null) return null
    this.#metrics.deadLetters.inc({ topic, reason: 'unreadable' }, records)
    return decoded
  }
}

const NONE = new Float64Array(0)

function isEmpty(reading: Reading): boolean {
  for (const name of METRIC_NAMES) if (reading[name] != null) return false
  return (reading.erase?.length ?? 0) === 0
}
