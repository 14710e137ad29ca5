// A partition whose books balance, as plain records, for tests that plant one fault in it: a control record, five
// readings in order, one of them sent twice, one that came late, one that is buffered, a dead letter, and one record that
// refine has not read yet.
import type { LedgerCounts } from '../../schemas/refine.ts'
import { METRICS } from '../../schemas/metrics.ts'
import { RAW } from '../../schemas/topics.ts'
import { PartitionBook } from './book.ts'
import { Entries, type LetterFacts, type PassingRecord } from './entries.ts'
import { Findings, type ProblemCode } from './findings.ts'
import { type Cut, judgePartition, NO_LEDGER, type PartitionRow } from './judge.ts'
import { judgeLogs, judgeSent, type WalAccount, type WalLane } from './sent.ts'

/** Codes raised while the inputs are read: sim/audit.test.ts plants their faults. */
export type ScannedCode =
  | 'OFFSET_MISSING'
  | 'SNAPSHOT_MISSING'
  | 'STORE_COUNTERS'
  | 'ANOMALIES_DIFFER'
  | 'ORDER_INCONSISTENT'
  | 'TOPIC_UNREADABLE'
  | 'BROKER_UNAVAILABLE'
  | 'REGISTRY_UNAVAILABLE'
  | 'STORE_UNAVAILABLE'

export const SENSOR = 't/a'
export const T0 = 1_700_000_000_000
export const COMMITTED = 10
export const METRIC_VALUES = Float64Array.from(METRICS, (_, i) => (i === 0 ? 20 : NaN))

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
export type Row = Mutable<PassingRecord>

/** A reading of the sensor: seq determines its event time and, unless given, its bytes. */
export const reading = (offset: number, seq: number, hash = 1_000 + seq): Row => ({
  kind: 'reading',
  offset,
  arrivalMs: T0 + 1_000 * offset,
  key: SENSOR,
  epoch: 1,
  seq,
  ts: T0 + seq,
  labels: 0,
  metrics: METRIC_VALUES,
  hash,
})

/** A record that is not a reading. */
export const other = (offset: number, kind: Row['kind'], hash = offset): Row => ({ ...reading(offset, 0, hash), kind })

const letterOf = (offset: number): LetterFacts => ({
  state: 'open',
  stage: 'refine',
  topic: RAW,
  partition: 0,
  offset,
})

export class PlantedPartition {
  readonly raw: Row[] = [
    other(0, 'control'),
    ...[0, 1, 2, 3, 4].map((seq) => reading(1 + seq, seq)),
    reading(6, 1),
    other(7, 'placeless', 77),
    reading(8, 5),
    reading(9, 7),
    reading(10, 8),
  ]
  readonly replayOf = new Map<number, string>()
  readonly clean: Row[] = [0, 1, 2, 3, 4].map((seq) => reading(seq, seq))
  readonly late: Row[] = [reading(0, 5)]
  readonly letters: [Row, LetterFacts][] = [[other(0, 'placeless', 77), letterOf(7)]]
  readonly ledger: Mutable<LedgerCounts> = {
    ...NO_LEDGER,
    ...{ consumed: 10, emitted: 5, duplicate: 1, late: 1, deadLettered: 1, control: 1, buffered: 1 },
  }
  cut: Mutable<Cut> = {
    partition: 0,
    ledger: this.ledger,
    hasCommitted: true,
    isHeld: false,
    committed: COMMITTED,
    isStill: true,
    starts: { raw: 0, clean: 0, late: 0, dlq: 0, anomalies: 0 },
    stored: { clean: 0, late: 0 },
    rowsSince: -Infinity,
  }
  readonly book = new PartitionBook(0)
  readonly log: WalAccount = { name: 'node/a', accepted: 9, waiting: 0, missing: 0, held: 0, missingNames: [] }
  readonly lanes: WalLane[] = []
  /** Offsets that an open transaction hides. */
  held = 0

  judge(): { row: PartitionRow; findings: Findings; codes: ProblemCode[]; messages: string } {
    const { book, cut } = this
    const findings = new Findings()
    const entries = new Entries(book, cut, findings)
    for (const [record, facts] of this.letters) entries.letter(record, facts)
    for (const record of this.late) entries.late(record, 'late', [])
    for (const record of this.clean) entries.clean(record)
    for (const record of this.raw) entries.raw(record, this.replayOf.get(record.offset))
    const row = judgePartition(book, cut, findings)
    judgeSent(book, this.lanes, { isWhole: cut.starts.raw === 0, held: this.held }, findings)
    judgeLogs(this.lanes.length > 0 ? [this.log] : [], findings)
    const { problems } = findings
    return {
      row,
      findings,
      codes: [...new Set(problems.map(({ code }) => code))],
      messages: problems.map(({ message }) => message).join('\n'),
    }
  }
}
