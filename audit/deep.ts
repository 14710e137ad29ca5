// `audit --deep`: names reading, event time and cell where the store differs from clean and late. Only sensors whose
// fingerprints differ are examined, one at a time: memory is bounded by the readings of one sensor.
import { isDeepStrictEqual } from 'node:util'
import { type Labels, labelsOf } from '../platform/codec/labels.ts'
import type { OffsetRange } from '../platform/kafka/port.ts'
import type { StoredReading } from '../platform/store/port.ts'
import { METRICS } from '../schemas/metrics.ts'
import { CLEAN, LATE } from '../schemas/topics.ts'
import type { Findings } from './core/findings.ts'
import { homeOf, keyText } from './core/records.ts'
import { MergedRow } from './core/merged-row.ts'
import type { PassingRecord } from './core/entries.ts'
import type { StoredRow } from './core/stored.ts'
import { type Ranges, topicPartition } from './inputs.ts'
import type { PartitionScanner } from './scan.ts'
import type { AuditedStore } from './store.ts'
import { isLeftOut, type Stretch } from './stretches.ts'

interface LabelledRow {
  readonly row: StoredRow
  /** Of the latest reading of the row. */
  readonly texts: Labels
}

/** Each is reread from clean, late and the store. */
const SENSORS_MAX = 20
/** Maximum number of differences listed per sensor. */
const NAMED_MAX = 10

export interface DeepContext {
  readonly store: AuditedStore
  readonly scanner: PartitionScanner
  readonly ranges: Ranges
  readonly stretchOf: (key: string) => Stretch
}

export async function nameStored(context: DeepContext, suspects: readonly string[], findings: Findings): Promise<void> {
  for (const key of suspects.slice(0, SENSORS_MAX)) {
    const expected = await expectedRows(context, key)
    try {
      await compareRows(context, key, expected, findings)
    } catch (error) {
      return context.store.failed(error)
    }
  }
  if (suspects.length > SENSORS_MAX)
    findings.note(`--deep has named the differences of ${SENSORS_MAX} of ${suspects.length} sensors`)
}

async function expectedRows(
  { store, scanner, ranges, stretchOf }: DeepContext,
  key: string,
): Promise<Map<number, LabelledRow>> {
  const from = Math.max(store.rowsSince, stretchOf(key).from)
  const partition = homeOf(key, ranges.raw.length)
  const rows = new Map<number, LabelledRow>()
  const late = new Map<number, MergedRow>()
  const lateTexts = new Map<number, Labels>()
  const each = async (topic: string, range: OffsetRange, visit: (record: PassingRecord) => void): Promise<void> => {
    const end = Math.min(range.end, store.offsets.get(topicPartition(topic, partition)) ?? 0)
    await scanner.eachReading(topic, partition, { start: range.start, end }, (record) => {
      if (record.key === key && record.ts >= from) visit(record)
    })
  }
  await each(LATE, ranges.late[partition], (record) => {
    const known = late.get(record.ts)
    const erased = scanner.erasedBy(record.kind)
    lateTexts.set(record.ts, scanner.labelTexts())
    if (known === undefined) late.set(record.ts, new MergedRow(record, erased))
    else known.later(record, erased)
  })
  await each(CLEAN, ranges.clean[partition], (record) => {
    const { ts, epoch, seq, labels, metrics } = record
    const known = late.get(ts)
    const row = { ts, epoch, seq, labels, metrics: metrics.slice() }
    if (known === undefined) rows.set(ts, { row, texts: scanner.labelTexts() })
    else known.earlier(record)
  })
  for (const [ts, row] of late) rows.set(ts, { row, texts: lateTexts.get(ts)! })
  return rows
}

async function compareRows(
  { store, stretchOf }: DeepContext,
  key: string,
  expected: Map<number, LabelledRow>,
  findings: Findings,
): Promise<void> {
  const name = keyText(key)
  const stretch = stretchOf(key)
  let named = 0
  const say = (code: 'NOT_IN_STORE' | 'STORE_EXCESS' | 'STORE_DIFFERS', text: string): void => {
    named += 1
    if (named <= NAMED_MAX) findings.problem(code, `${name} ${text}`)
  }
  for await (const page of store.rows(key, stretch.from)) {
    for (const row of page) {
      const wanted = expected.get(row.ts)
      expected.delete(row.ts)
      if (isLeftOut(stretch, row)) continue
      if (wanted === undefined)
        say(
          'STORE_EXCESS',
          `ts ${row.ts} (epoch ${row.epoch} seq ${row.seq}) is in the store, and neither in clean nor in late`,
        )
      else for (const difference of differences(wanted, row)) say('STORE_DIFFERS', difference)
    }
  }
  for (const {
    row: { ts, epoch, seq },
  } of expected.values())
    say('NOT_IN_STORE', `ts ${ts} (epoch ${epoch} seq ${seq}) is not in the store`)
}

function differences({ row: wanted, texts }: LabelledRow, row: StoredReading): string[] {
  const { ts, epoch, seq, labels, metrics } = wanted
  const at = `epoch ${epoch} seq ${seq} ts ${ts}`
  const found: string[] = []
  if (row.epoch !== epoch || row.seq !== seq) found.push(`${at} is in the store as epoch ${row.epoch} seq ${row.seq}`)
  if (labelsOf(row) !== labels) {
    for (const name of ['site', 'node'] as const)
      if (row[name] !== texts[name])
        found.push(
          `${at}: ${name} is ${JSON.stringify(row[name])} in the store; it must be ${JSON.stringify(texts[name])}`,
        )
    if (!isDeepStrictEqual(row.tags, texts.tags))
      found.push(`${at}: tags are ${JSON.stringify(row.tags)} in the store; they must be ${JSON.stringify(texts.tags)}`)
  }
  for (const [i, { name }] of METRICS.entries()) {
    const stored = row.metrics[name] ?? NaN
    if (!Object.is(stored + 0, metrics[i] + 0))
      found.push(`${at}: ${name} is ${text(stored)} in the store; it must be ${text(metrics[i])}`)
  }
  return found
}

const text = (value: number): string => (Number.isNaN(value) ? 'not there' : String(value))
