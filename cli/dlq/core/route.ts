// Where a dead letter goes when replayed, and whether that helps. Everything goes through telemetry.raw: clean and
// late have one writer, refine, and a record that reached the store another way would be in no ledger.
//
//   refused before it took a place in its sensor's order   → raw, as any record: clean, late or duplicate, as it turns out
//   refused because it was in the wrong partition          → raw, into the partition that its key belongs to
//   refused when its place was taken (time, metric, store) → raw, marked to be passed on to late: else a duplicate
//   certain to be refused again                            → stays: replaying would only produce a copy of it
//
// Refine's verdict is predicted with the same scanner and schemas; its state (a full partition) is not.
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { METRICS } from '../../../schemas/metrics.ts'
import { ANOMALIES, CLEAN, LATE, MAX_RECORD_BYTES, RAW } from '../../../schemas/topics.ts'
import { AuditRecords } from '../../../audit/core/records.ts'
import type { AuditSchemas } from '../../../audit/schemas.ts'
import type { SchemaName } from '../../../platform/codec/framing.ts'
import { partitionOfKey } from '../../../platform/kafka/partitioner.ts'
import { headerBytes, ownHeaders } from '../../../platform/dead-letters/headers.ts'
import type { DeadLetterReason } from '../../../stream-jobs/refine/core/outputs.ts'
import type { DeadLetter } from '../../../platform/dead-letters/letter.ts'

export type Route =
  /** `partition` of telemetry.raw: the one that the key belongs to, which need not be the one that it came from. */
  | { readonly kind: 'replay'; readonly as: 'record' | 'late'; readonly partition: number }
  | { readonly kind: 'stay'; readonly why: string }
  /** The registry must be asked first. */
  | { readonly kind: 'unknown-schema'; readonly schema: SchemaName }

/** What the headers of a replay and the framing of its batch may add to a record's key, value and own headers. */
const OVERHEAD_BYTES = 512
const ROOM_BYTES = MAX_RECORD_BYTES - OVERHEAD_BYTES
/** Refine's reasons that apply after the reading has taken its place. */
const TAKES_ITS_PLACE: readonly DeadLetterReason[] = ['FUTURE_TIME', 'METRIC_OUT_OF_BOUNDS', 'CONFLICT']

/** A header's text may be anybody's; refine's own reasons are these. */
const isFor = ({ reason }: DeadLetter, ...reasons: readonly DeadLetterReason[]): boolean =>
  reasons.some((one) => one === reason)

const stay = (why: string): Route => ({ kind: 'stay', why })

export class Router {
  readonly #records: AuditRecords
  readonly #futureMs: number
  readonly #partitions: number

  /**
   * @param schemas what is known of them; `unknown-schema` routes ask for more
   * @param futureMs how far ahead of its arrival refine accepts a reading's time
   * @param partitions of telemetry.raw
   */
  constructor({ planOf, idOfGuid }: Pick<AuditSchemas, 'planOf' | 'idOfGuid'>, futureMs: number, partitions: number) {
    this.#records = new AuditRecords(planOf, idOfGuid)
    this.#futureMs = futureMs
    this.#partitions = partitions
  }

  route(letter: DeadLetter, nowMs: number): Route {
    const { from, key, value } = letter
    if (from.topic === ANOMALIES) return stay('it is an anomaly: those are derived and cannot be sent again')
    if (![RAW, CLEAN, LATE].includes(from.topic)) return stay(`it came from "${from.topic}", not from the pipeline`)
    if (from.partition !== letter.partition)
      return stay(`it came from partition ${from.partition} but is in ${letter.partition}: Plumbline did not write it`)
    if (isFor(letter, 'UNKNOWN_CONTROL')) return stay('it was a control record, whose headers are not kept')
    if ((key?.length ?? 0) + (value?.length ?? 0) + headerBytes(ownHeaders(letter.headers)) > ROOM_BYTES)
      return stay(`key, value and headers have more than ${ROOM_BYTES} bytes: no room for the headers of a replay`)
    return this.#foresee(letter.batch, letter, nowMs)
  }

  #foresee(batch: RecordBatch, letter: DeadLetter, nowMs: number): Route {
    const records = this.#records
    switch (records.kindOf(batch, letter.index)) {
      case 'unknown-schema':
        return { kind: 'unknown-schema', schema: records.schema }
      case 'control':
      case 'placeless':
      case 'unread':
        return stay(`it would be refused again: ${letter.message || letter.reason || 'it is no reading'}`)
      case 'reading':
    }
    const ahead = records.ts - nowMs
    if (ahead > this.#futureMs) return stay(`it would be refused again: ts is still ${ahead} ms ahead`)
    if (records.invalidMetric >= 0) {
      const { name, min, max, unit } = METRICS[records.invalidMetric]
      return stay(`it would be refused again: ${name} must be from ${min} to ${max} ${unit}`)
    }
    return {
      kind: 'replay',
      as: letter.from.topic !== RAW || isFor(letter, ...TAKES_ITS_PLACE) ? 'late' : 'record',
      // A key of a reading is tenant/sensor; a topic may have grown since the letter was written.
      partition: partitionOfKey(letter.key!, this.#partitions),
    }
  }
}
