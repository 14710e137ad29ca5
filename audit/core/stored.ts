// Compares what the store must hold, distinct event times of clean and late up to the sink's offsets, with what it
// counts, sensor by sensor. What the sink has dead-lettered need not be there, but may: a sink that ended between the dead
// letter and its progress has read the record again, and a store that was mended meanwhile has taken it.
import type { Findings } from './findings.ts'
import { keyText } from './records.ts'

/** Of one sensor. */
export interface ExpectedRows {
  readonly stored: number
  /** Dead-lettered by the sink. */
  readonly refused: number
}

export interface StoreTotals {
  /** Distinct readings that the store must hold. */
  readonly expected: number
  /** Readings of clean and late that it refused and that were not replayed. */
  readonly refused: number
  readonly rows: number
}

const NONE: ExpectedRows = { stored: 0, refused: 0 }

/**
 * @param expected by key (latin1 text); @param counted likewise
 * @param isWhole clean and late still have their beginnings; else the store may well hold more
 */
export function judgeStore(
  expected: ReadonlyMap<string, ExpectedRows>,
  counted: ReadonlyMap<string, number>,
  isWhole: boolean,
  findings: Findings,
): StoreTotals {
  const totals = { expected: 0, refused: 0, rows: 0 }
  for (const [key, { stored, refused }] of expected) {
    totals.expected += stored
    totals.refused += refused
    const lacking = stored - (counted.get(key) ?? 0)
    if (lacking > 0)
      findings.problem('NOT_IN_STORE', `the store lacks ${lacking} of ${stored} readings of ${keyText(key)}`)
  }
  for (const [key, rows] of counted) {
    totals.rows += rows
    const { stored, refused } = expected.get(key) ?? NONE
    if (isWhole && rows > stored + refused)
      findings.problem(
        'STORE_EXCESS',
        `the store has ${rows - stored - refused} readings of ${keyText(key)} that neither clean nor late has`,
      )
  }
  return totals
}
