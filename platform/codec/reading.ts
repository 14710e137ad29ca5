// Readings as bytes: Avro body in Confluent's framing (byte 0, schema id as int32, body). The id comes from the
// registry once at start; per record nothing but avsc runs.
import avsc from 'avsc'
import { loadSchema } from '../../schemas/load.ts'
import { METRICS } from '../../schemas/metrics.ts'

export const FRAME_BYTES = 5

export interface Reading {
  tenant_id: string
  site_id: string
  node_id: string
  sensor_id: string
  epoch: number
  seq: number
  ts: number
  mono_ms: number
  tags: Record<string, string>
  /** Metrics whose stored values are withdrawn; none where it is absent. */
  erase?: readonly string[]
  [metric: string]: number | string | null | undefined | Record<string, string> | readonly string[]
}

export const readingType = avsc.Type.forSchema(loadSchema('reading') as unknown as avsc.Schema, {
  // ts stays a number of milliseconds: a Date per record would cost more than the rest of the decoding.
  logicalTypes: {},
})

/** All metric names, in the order of the schema. */
export const METRIC_NAMES: readonly string[] = METRICS.map((metric) => metric.name)

/** Encodes one record in Confluent's framing. */
export function encodeFramed(type: avsc.Type, schemaId: number, record: unknown): Buffer {
  const body = type.toBuffer(record)
  const framed = Buffer.allocUnsafe(FRAME_BYTES + body.length)
  framed[0] = 0
  framed.writeInt32BE(schemaId, 1)
  framed.set(body, FRAME_BYTES)
  return framed
}
