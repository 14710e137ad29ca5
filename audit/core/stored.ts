// Compares the store with what it must hold: the readings of clean and late up to the sink's offsets, merged by the
// store's rule (merged-row.ts). Both sides are summed into one fingerprint per sensor (platform/codec/fingerprint.ts), so
// that a missing, added, moved or changed row shows, and neither side is held in memory. What the sink dead-lettered may
// or may not be there: a sink that stopped after writing the dead letter but before committing its progress read the
// record again, and a store that had been repaired in the meantime accepted it.
import { Fingerprint } from '../../platform/codec/fingerprint.ts'
import { METRICS } from '../../schemas/metrics.ts'
import type { Findings } from './findings.ts'
import { keyText } from './records.ts'

const METRIC_NAMES = METRICS.map(({ name }) => name)

/** What one sensor's rows must add up to. */
export interface ExpectedRows {
  readonly fingerprint: Fingerprint
  /** Dead-lettered by the sink. */
  readonly refused: number
}

export interface StoredRow {
  readonly ts: number
  readonly epoch: number
  readonly seq: number
  /** Of its site, node and tags (platform/codec/labels.ts). */
  readonly labels: number
  /** Indexed by METRICS; NaN if absent. */
  readonly metrics: Float64Array
}

export interface StoreTotals {
  /** Distinct readings that the store must hold. */
  readonly expected: number
  /** Readings of clean and late that it refused and that were not replayed. */
  readonly refused: number
  readonly rows: number
}

export interface StoreCheck {
  /** By key (latin1 text). */
  readonly expected: ReadonlyMap<string, ExpectedRows>
  readonly stored: ReadonlyMap<string, Fingerprint>
  /** Nothing was written while the store was read; otherwise it may be ahead of its offsets. */
  readonly isStill: boolean
}

const NONE: ExpectedRows = { fingerprint: new Fingerprint(), refused: 0 }
const cells: Record<string, number | null> = {}

export function addRow(fingerprint: Fingerprint, row: StoredRow): void {
  for (let i = 0; i < METRIC_NAMES.length; i += 1)
    cells[METRIC_NAMES[i]] = Number.isNaN(row.metrics[i]) ? null : row.metrics[i]
  fingerprint.add(row, row.labels, cells, METRIC_NAMES)
}

/** @returns totals, and the sensors whose rows are wrong */
export function judgeStore(
  { expected, stored, isStill }: StoreCheck,
  findings: Findings,
): { totals: StoreTotals; suspects: string[] } {
  const totals = { expected: 0, refused: 0, rows: 0 }
  const suspects: string[] = []
  const suspect = (key: string, code: 'NOT_IN_STORE' | 'STORE_EXCESS' | 'STORE_DIFFERS', message: string): void => {
    suspects.push(key)
    findings.problem(code, message)
  }
  for (const [key, { fingerprint, refused }] of expected) {
    totals.expected += fingerprint.rows
    totals.refused += refused
    const lacking = fingerprint.rows - (stored.get(key)?.rows ?? 0)
    if (lacking > 0)
      suspect(key, 'NOT_IN_STORE', `the store lacks ${lacking} of ${fingerprint.rows} readings of ${keyText(key)}`)
  }
  for (const [key, found] of stored) {
    totals.rows += found.rows
    if (!isStill) continue
    const { fingerprint, refused } = expected.get(key) ?? NONE
    const excess = found.rows - fingerprint.rows
    if (excess > refused)
      suspect(
        key,
        'STORE_EXCESS',
        `the store has ${excess - refused} readings of ${keyText(key)} that neither clean nor late has`,
      )
    else if (excess === 0 && !found.equals(fingerprint))
      suspect(
        key,
        'STORE_DIFFERS',
        `${found.rows} readings of ${keyText(key)} have other times or values in the store than in clean and late; plumbline audit --deep names them`,
      )
  }
  return { totals, suspects }
}
