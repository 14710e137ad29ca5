// From record batches to rows: decodes each reading with its writer's schema and passes its row to its sensor's
// file. A sensor's file path and cell text are computed once and cached, for a bounded number of sensors.
import { DecodeError } from '../../platform/codec/framed-decoder.ts'
import { FRAME_BYTES, type Reading } from '../../platform/codec/reading.ts'
import type { RecordBatch } from '../../platform/kafka/record-batch/record-batch.ts'
import type { FetchSchema } from '../../platform/codec/register.ts'
import { Codecs } from '../codecs.ts'
import { type Codec, readingCodec } from '../core/decode.ts'
import { rowOf, textCell } from '../core/replica-csv.ts'
import type { RowFiles } from './row-files.ts'
import { schemaIdOf, UNFRAMED } from '../../platform/codec/framing.ts'

/** Beyond this the cache is cleared. (An LRU would allocate space for all of them at once.) */
const SENSORS_MAX = 100_000

interface SensorFile {
  readonly path: string
  readonly cell: string
}

/** Records of one batch that are not readings. */
export interface LeftOut {
  count: number
  /** Of the first one, and why. */
  readonly offset: number
  readonly reason: string
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
   * Adds the rows of records [from, to). A record that is not a reading has no row: refine writes none, so it is somebody
   * else's, and every replica leaves out the same ones, as the sink and exports do.
   * @param placeOf the sequence of a record, or its offset in late
   */
  addAll(
    batch: RecordBatch,
    { from, to, partition }: { from: number; to: number; partition: number },
    placeOf: (i: number) => number,
    codecs: ReadonlyMap<number, Codec<Reading>>,
  ): LeftOut | null {
    let leftOut: LeftOut | null = null
    for (let i = from; i < to; i += 1) {
      try {
        this.#add(batch, i, placeOf(i), partition, codecs)
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error
        leftOut ??= { count: 0, offset: batch.offset(i), reason: error.message }
        leftOut.count += 1
      }
    }
    return leftOut
  }

  /** @throws DecodeError */
  #add(
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
  const codec = codecs.get(schemaIdOf(batch, i)) ?? { refused: 'the value does not begin with byte 0 and a schema id' }
  if ('refused' in codec) throw new DecodeError('UNREADABLE', codec.refused)
  const at = batch.valueAt(i)
  return codec.decode(batch.bytes, at + FRAME_BYTES, at + batch.valueLength(i))
}
