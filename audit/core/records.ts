// Classifies a record of raw, clean, late or the dead letters in place, without an object per record: a control
// record, a reading with its place in the order, or something without a place (undecodable, or with an identity
// that does not match its key). Refine draws the same line, and the audit compares only what has a place, seq by seq.
import {
  frameByHeader,
  isFramed,
  schemaIdAt,
  type SchemaName,
  schemaNameOf,
  unknownGuidId,
} from '../../platform/codec/framing.ts'
import { type Labels, labelsIn } from '../../platform/codec/labels.ts'
import { readingOf } from '../../platform/codec/reading-decoder.ts'
import { FRAME_BYTES } from '../../platform/codec/reading.ts'
import type { ScanPlan } from '../../platform/codec/reading-plan.ts'
import { ReadingScanner } from '../../platform/codec/reading-scanner.ts'
import { readingProblem } from '../../platform/codec/reading-verdict.ts'
import type { RecordBatch } from '../../platform/kafka/record-batch/record-batch.ts'
import { CONTROL_HEADER } from '../../schemas/refine.ts'
import { partitionOfKey } from '../../platform/kafka/partitioner.ts'

/**
 * control         one of our control records
 * reading         a reading, with its place in the order
 * placeless       not a valid reading: undecodable, or with an identity that does not match its key
 * unknown-schema  its schema must be fetched first
 * unread          its schema could not be fetched: nothing is known about it
 */
export type RecordKind = 'control' | 'reading' | 'placeless' | 'unknown-schema' | 'unread'

/** The plan for a writer's schema id; null: not a Reading's; undefined: not yet looked up in the registry. */
export type PlanOf = (schemaId: number) => ScanPlan | null | undefined

const NOTHING: readonly string[] = []

export class AuditRecords {
  /** Of the last reading: its key as latin1 text (keys are bytes), its place, its event time. */
  key = ''
  epoch = 0
  seq = 0
  ts = 0
  /** Index in METRICS of an out-of-bounds metric of the last reading; -1 for none. */
  invalidMetric = -1
  /** Of the last record of an unknown schema. */
  schema: SchemaName = { id: 0 }
  readonly #scanner = new ReadingScanner()
  readonly #planOf: PlanOf
  readonly #idOfGuid: (guid: string) => number | undefined

  /** @param idOfGuid the id for a GUID, as platform/codec/framing.ts asks for it */
  constructor(planOf: PlanOf, idOfGuid: (guid: string) => number | undefined = unknownGuidId) {
    this.#planOf = planOf
    this.#idOfGuid = idOfGuid
  }

  /** Metrics of the last reading, indexed by METRICS; NaN if absent. */
  get metrics(): Float64Array {
    return this.#scanner.metrics
  }

  /** Names of the metrics whose values the last reading withdraws. @param batch that it is in */
  erasedIn({ bytes }: RecordBatch): readonly string[] {
    const { erase, eraseCount } = this.#scanner
    if (eraseCount === 0) return NOTHING
    return Array.from({ length: eraseCount }, (_, i) =>
      bytes.toString('utf8', erase[2 * i], erase[2 * i] + erase[2 * i + 1]),
    )
  }

  /** Of the last reading's site, node and tags. @param batch that it is in */
  labelsIn({ bytes }: RecordBatch): number {
    return labelsIn(this.#scanner, bytes)
  }

  /** The same as texts, to be shown. */
  labelTextsIn({ bytes }: RecordBatch): Labels {
    const { site_id: site, node_id: node, tags } = readingOf(this.#scanner, bytes)
    return { site, node, tags }
  }

  kindOf(batch: RecordBatch, i: number): RecordKind {
    if (batch.hasHeaders(i) && batch.headers(i).some(({ key }) => key === CONTROL_HEADER)) return 'control'
    if (batch.keyLength(i) <= 0) return 'placeless'
    if (!frameByHeader(batch, i, this.#idOfGuid)) {
      this.schema = schemaNameOf(batch, i)!
      return 'unknown-schema'
    }
    const { bytes } = batch
    const at = batch.valueAt(i)
    const length = batch.valueLength(i)
    if (!isFramed(batch, i)) return 'placeless'
    const schemaId = schemaIdAt(bytes, at)
    const plan = this.#planOf(schemaId)
    if (plan === undefined) {
      this.schema = { id: schemaId }
      return 'unknown-schema'
    }
    const scanner = this.#scanner
    if (plan === null || !scanner.scan(plan, bytes, at + FRAME_BYTES, at + length)) return 'placeless'
    if (readingProblem(scanner, bytes, batch.keyAt(i), batch.keyLength(i)) !== null) return 'placeless'
    this.key = bytes.toString('latin1', batch.keyAt(i), batch.keyAt(i) + batch.keyLength(i))
    this.epoch = scanner.epoch
    this.seq = scanner.seq
    this.ts = scanner.ts
    this.invalidMetric = scanner.invalidMetric
    return 'reading'
  }
}

/** The partition of a key (latin1 text). */
export const homeOf = (key: string, partitions: number): number =>
  partitionOfKey(Buffer.from(key, 'latin1'), partitions)

/** Keys are kept as latin1 text so that any bytes survive; output for people is UTF-8. */
export const keyText = (key: string): string => Buffer.from(key, 'latin1').toString('utf8')
export const keyOfText = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')
