// From record batches to rows: decodes each reading with its writer's schema and passes its row to its sensor's
// file. A sensor's file path and cell text are computed once and cached, for a bounded number of sensors.
import { FRAME_BYTES, type Reading } from '../../platform/codec/reading.ts'
import type { RecordBatch } from '../../platform/kafka/record-batch/record-batch.ts'
import type { FetchSchema } from '../../platform/codec/register.ts'
import { Codecs } from '../codecs.ts'
import { type Codec, readingCodec } from '../core/decode.ts'
import { rowOf, textCell } from '../core/replica-csv.ts'
import { ReplicaError } from './state.ts'
import type { RowFiles } from './row-files.ts'
import { schemaIdOf, UNFRAMED } from '../../platform/codec/framing.ts'

/** Beyond this the cache is cleared. (An LRU would allocate space for all of them at once.) */
const SENSORS_MAX = 100_000

interface SensorFile {
  readonly path: string
  readonly cell: string
}

export class Rows {
  readonly #codecs: Codecs<Reading>
  readonly #files: RowFiles
  readonly #header: string
  readonly #pathOf: (partition: number, tenant: string, sensor: string) => string
  readonly #sensors = new Map<string, SensorFile>()

  constructor(
    fetchSchema: FetchSchema,
    files: RowFiles,
    header: string,
    pathOf: (partition: number, tenant: string, sensor: string) => string,
  ) {
    this.#codecs = new Codecs(fetchSchema, readingCodec)
    this.#files = files
    this.#header = header
    this.#pathOf = pathOf
  }

  /** Codecs for records [from, to). Rejects while the registry cannot be reached. */
  learn(batch: RecordBatch, from: number, to: number): Promise<ReadonlyMap<number, Codec<Reading>>> {
    const ids = new Set<number>()
    for (let i = from; i < to; i += 1) ids.add(schemaIdOf(batch, i))
    ids.delete(UNFRAMED)
    return this.#codecs.learn(ids)
  }

  /**
   * Adds one record's row.
   * @param place its sequence, or its offset in late
   * @throws ReplicaError UNREADABLE: refine lets nothing unreadable through, so this is a bug
   */
  add(
    batch: RecordBatch,
    i: number,
    place: number,
    partition: number,
    codecs: ReadonlyMap<number, Codec<Reading>>,
  ): void {
    const reading = decode(batch, i, codecs)
    const key = `${partition}/${reading.tenant_id}/${reading.sensor_id}`
    let sensor = this.#sensors.get(key)
    if (sensor === undefined) {
      const path = this.#pathOf(partition, reading.tenant_id, reading.sensor_id)
      sensor = { path, cell: textCell(reading.sensor_id) }
      if (this.#sensors.size >= SENSORS_MAX) this.#sensors.clear()
      this.#sensors.set(key, sensor)
    }
    this.#files.add(sensor.path, this.#header, rowOf(place, sensor.cell, reading))
  }
}

function decode(batch: RecordBatch, i: number, codecs: ReadonlyMap<number, Codec<Reading>>): Reading {
  const codec = codecs.get(schemaIdOf(batch, i)) ?? { refused: 'it is not in Confluent’s framing' }
  try {
    if ('refused' in codec) throw new Error(codec.refused)
    const at = batch.valueAt(i)
    return codec.decode(batch.bytes, at + FRAME_BYTES, at + batch.valueLength(i))
  } catch (error) {
    const offset = batch.offset(i)
    throw new ReplicaError(
      'UNREADABLE',
      `the reading at offset ${offset} cannot be decoded: ${(error as Error).message}`,
      { offset, cause: error },
    )
  }
}
