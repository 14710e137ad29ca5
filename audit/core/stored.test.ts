// What the store must, may and must not hold, sensor by sensor; and how the report words what it refused.
import { describe, expect, it } from 'vitest'
import { SensorBook } from './book.ts'
import { Findings } from './findings.ts'
import { type AuditReport, reportText } from './report.ts'
import { Fingerprint } from '../../platform/codec/fingerprint.ts'
import { METRIC_VALUES } from './partition.test-support.ts'
import { addRow, judgeStore, type StoreTotals } from './stored.ts'

/** Readings 0 to `count` - 1. */
function rowsOf(count: number): Fingerprint {
  const fingerprint = new Fingerprint()
  for (let seq = 0; seq < count; seq += 1)
    addRow(fingerprint, { ts: seq, epoch: 1, seq, labels: 0, metrics: METRIC_VALUES })
  return fingerprint
}

function judge(rows: number, isStill = true): { codes: string[]; totals: StoreTotals } {
  const findings = new Findings()
  const expected = new Map([['t/s', { fingerprint: rowsOf(5), refused: 2 }]])
  const stored = new Map([['t/s', rowsOf(rows)]])
  const { totals } = judgeStore({ expected, stored, isStill }, findings)
  return { codes: findings.problems.map(({ code }) => code), totals }
}

describe('X-2: rows in the store', () => {
  it('are all that clean and late have; what the sink dead-lettered may be among them, and nothing else', () => {
    expect(judge(4).codes).toEqual(['NOT_IN_STORE'])
    expect(judge(5)).toEqual({ codes: [], totals: { expected: 5, refused: 2, rows: 5 } })
    expect(judge(7).codes).toEqual([])
    expect(judge(8).codes).toEqual(['STORE_EXCESS'])
    expect(judge(8, false).codes).toEqual([])
    const findings = new Findings()
    const stored = new Map([['t/other', rowsOf(1)]])
    judgeStore({ expected: new Map(), stored, isStill: true }, findings)
    expect(findings.problems.map(({ code }) => code)).toEqual(['STORE_EXCESS'])
  })

  it('are expected again once a refused reading has come by late', () => {
    const sensor = new SensorBook('t/s')
    sensor.refuse(1)
    sensor.refuse(2)
    sensor.addLate({ ts: 2, epoch: 1, seq: 2, labels: 0, metrics: METRIC_VALUES }, [])
    expect(sensor.expected()).toMatchObject({ refused: 1, fingerprint: { rows: 1 } })
  })

  it('X-3: the report names what the store refused', () => {
    const table: AuditReport['table'] = {
      ...{ raw: 7, clean: 7, duplicate: 0, late: 0, deadLettered: 0, control: 0, buffered: 0, sent: null },
      letters: { open: 2, replayed: 0, dropped: 0 },
      inFlight: { toRaw: 0, toRefine: 0, toStore: 0 },
      store: { expected: 5, refused: 2, rows: 5 },
      partitions: [],
    }
    const none = { gaps: [], gapCount: 0, gapSeqs: 0, problems: [], problemCount: 0, notes: [] }
    const text = reportText({ balanced: true, table, ...none })
    expect(text).toMatch(/dead letters +0 +with the sinks’: 2 open, 0 replayed, 0 dropped/)
    expect(text).toMatch(/refused by it +2 +dead-lettered: plumbline dlq list --stage TASK_PUT/)
  })
})
