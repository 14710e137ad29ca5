// Compares what the store must hold, distinct event times of clean and late up to the sink's offsets, with what it
// counts, sensor by sensor.
import type { Findings } from './audit-findings.ts'
import { keyText } from './audit-records.ts'

/**
 * @param expected by key (latin1 text); @param counted likewise
 * @param isWhole clean and late still have their beginnings; else the store may well hold more
 * @returns rows expected and rows there
 */
export function judgeStore(
  expected: ReadonlyMap<string, number>,
  counted: ReadonlyMap<string, number>,
  isWhole: boolean,
  findings: Findings,
): { expected: number; rows: number } {
  let expectedSum = 0
  let rows = 0
  for (const count of counted.values()) rows += count
  for (const [key, want] of expected) {
    const have = counted.get(key) ?? 0
    expectedSum += want
    if (have < want)
      findings.problem('NOT_IN_STORE', `the store lacks ${want - have} of ${want} readings of ${keyText(key)}`)
    else if (have > want && isWhole)
      findings.problem(
        'STORE_EXCESS',
        `the store has ${have - want} readings of ${keyText(key)} that neither clean nor late has`,
      )
  }
  for (const [key, have] of counted) {
    if (isWhole && have > 0 && !expected.has(key))
      findings.problem(
        'STORE_EXCESS',
        `the store has ${have} readings of ${keyText(key)}, which neither clean nor late knows`,
      )
  }
  return { expected: expectedSum, rows }
}
