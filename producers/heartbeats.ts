// Heartbeats of the nodes of a process (MI-4): one record per node, all in one batch, to the topic `nodes` under the
// node's id. Best effort: a heartbeat that cannot be sent is replaced by the next one.
import avsc from 'avsc'
import { encodeFramed } from '../platform/codec/reading.ts'
import { RecordBatchBuilder } from '../platform/kafka/record-batch-builder.ts'
import type { OutgoingBatch } from '../platform/kafka/port.ts'
import { loadSchema } from '../schemas/load.ts'
import { NODES } from '../schemas/topics.ts'

export const HEARTBEAT_MS = 5_000

export interface Diagnostics {
  readonly rail_low: boolean
  readonly clock_step_ms: number
  readonly wal_depth: number
  readonly wal_bytes: number
  readonly ring_fill: number
  readonly dropped_faults: number
}

export interface Heartbeat {
  readonly node_id: string
  readonly kind: 'producer'
  readonly at: number
  readonly mono_ms: number
  readonly final: boolean
  readonly degraded: boolean
  readonly sensors: number
  readonly accepted: number
  readonly acknowledged: number
  readonly config_version: number
  readonly diagnostics: Diagnostics
}

export const heartbeatType = avsc.Type.forSchema(loadSchema('heartbeat') as unknown as avsc.Schema)

/** All heartbeats as one batch for the topic's one partition. */
export function heartbeatBatch(heartbeats: readonly Heartbeat[], schemaId: number): OutgoingBatch {
  const records = new RecordBatchBuilder()
  for (const heartbeat of heartbeats)
    records.add(Buffer.from(heartbeat.node_id), encodeFramed(heartbeatType, schemaId, heartbeat))
  return { topic: NODES, partition: 0, records }
}
