// Decodes what a fetch brought. New schema ids are looked up first, and a record that cannot be read is in the
// dead-letter topic before its batch goes any further, so progress never passes a record that is nowhere.
import type { FetchSchema } from '../platform/codec/register.ts'
import type { Reading } from '../platform/codec/reading.ts'
import type { FetchedBatch } from '../platform/kafka/port.ts'
import type { Anomaly } from '../platform/store/port.ts'
import { ANOMALIES } from '../schemas/topics.ts'
import { Codecs } from './codecs.ts'
import { anomalyCodec, collectSchemaIds, decodeBatch, type Decoded, readingCodec } from './core/decode.ts'
import type { SinkPartition } from './core/sink-partition.ts'
import type { DecodedBatch } from './core/write-batch.ts'
import { type DeadLetters, UNREADABLE } from './dead-letters.ts'
import { type Patience, patiently } from './patience.ts'
import type { SinkMetrics } from './sink-metrics.ts'

export class BatchDecoder {
  readonly #deadLetters: DeadLetters
  readonly #metrics: SinkMetrics
  readonly #readings: Codecs<Reading>
  readonly #anomalies: Codecs<Anomaly>

  constructor(fetchSchema: FetchSchema, deadLetters: DeadLetters, metrics: SinkMetrics) {
    this.#deadLetters = deadLetters
    this.#metrics = metrics
    this.#readings = new Codecs(fetchSchema, readingCodec)
    this.#anomalies = new Codecs(fetchSchema, anomalyCodec)
  }

  /** Decodes the records at or after `position`. Null when the batch is no longer wanted. */
  async decode(
    batch: FetchedBatch,
    partition: SinkPartition,
    position: number,
    patience: Patience,
  ): Promise<DecodedBatch | null> {
    const { nextOffset } = batch
    if (batch.topic === ANOMALIES) {
      const decoded = await this.#decode(batch, position, this.#anomalies, patience)
      if (decoded === null) return null
      const { values, offsets } = decoded
      return { partition, batch, nextOffset, offsets, readings: [], anomalies: values, versions: NONE, arrivals: NONE }
    }
    const decoded = await this.#decode(batch, position, this.#readings, patience)
    if (decoded === null) return null
    const { values, versions, arrivals, offsets } = decoded
    return { partition, batch, nextOffset, offsets, readings: values, anomalies: [], versions, arrivals }
  }

  async #decode<T>(
    batch: FetchedBatch,
    position: number,
    codecs: Codecs<T>,
    patience: Patience,
  ): Promise<Decoded<T> | null> {
    const ids = collectSchemaIds(batch, position)
    const known = await patiently('asking the schema registry', patience, () => codecs.learn(ids))
    if (known === null) return null
    const decoded = decodeBatch(batch, position, known)
    if (decoded.rejects.length === 0) return decoded
    const { topic, partition } = batch
    const { length: records, 0: first } = decoded.rejects
    patience.log.warn(
      { topic, partition, records, reason: first.reason },
      'unreadable records; sending them to the dead-letter topic',
    )
    const send = async (): Promise<true> => {
      await this.#deadLetters.send(batch, decoded.rejects, UNREADABLE)
      return true
    }
    if ((await patiently('sending dead letters', patience, send)) === null) return null
    this.#metrics.deadLetters.inc({ topic, reason: 'unreadable' }, records)
    return decoded
  }
}

const NONE = new Float64Array(0)
