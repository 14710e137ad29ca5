// The heartbeat: what a member of the cluster reports about itself on the topic `nodes`, under its id. Simulated nodes
// fill in every field; members that sample nothing send zeros. The time that counts is the broker's append time, since the
// clocks of members need not agree.
import avsc from 'avsc'
import { encodeFramed } from '../codec/reading.ts'
import type { OutgoingBatch } from '../kafka/port.ts'
import { RecordBatchBuilder } from '../kafka/record-batch/builder.ts'
import { loadSchema } from '../../schemas/load.ts'
import { NODES } from '../../schemas/topics.ts'

/** `producer` is a node, `ingest` the HTTP door of a producers' process (POST /readings); the others are services. */
export type MemberKind = 'producer' | 'ingest' | 'stream-jobs' | 'sinks' | 'query-api' | 'replica'

export interface Diagnostics {
  readonly rail_low: boolean
  readonly clock_step_ms: number
  readonly wal_depth: number
  readonly wal_bytes: number
  readonly ring_fill: number
  readonly dropped_faults: number
  /** Why the log continues in a new epoch since the start; empty where it does not. */
  readonly wal_renewed: string
}

export interface Heartbeat {
  readonly node_id: string
  readonly kind: MemberKind
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

/** The fields of a member without samples. */
const SAMPLES_NOTHING = {
  degraded: false,
  sensors: 0,
  accepted: 0,
  acknowledged: 0,
  config_version: 0,
  diagnostics: {
    rail_low: false,
    clock_step_ms: 0,
    wal_depth: 0,
    wal_bytes: 0,
    ring_fill: 0,
    dropped_faults: 0,
    wal_renewed: '',
  },
}

/** The heartbeat of a member that samples nothing. */
export const plainHeartbeat = (said: Pick<Heartbeat, 'node_id' | 'kind' | 'at' | 'mono_ms' | 'final'>): Heartbeat => ({
  ...SAMPLES_NOTHING,
  ...said,
})

/** Some 100 kB: a record batch of the topic may have 1 MB. */
const HEARTBEATS_PER_BATCH = 1_000

/** Heartbeats as batches for the topic's one partition, each to be sent in a call of its own. */
export function heartbeatBatches(heartbeats: readonly Heartbeat[], schemaId: number): OutgoingBatch[] {
  const batches: OutgoingBatch[] = []
  for (let from = 0; from < heartbeats.length; from += HEARTBEATS_PER_BATCH) {
    const records = new RecordBatchBuilder()
    for (const heartbeat of heartbeats.slice(from, from + HEARTBEATS_PER_BATCH))
      records.add(Buffer.from(heartbeat.node_id), encodeFramed(heartbeatType, schemaId, heartbeat))
    batches.push({ topic: NODES, partition: 0, records })
  }
  return batches
}
