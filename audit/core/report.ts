// The audit's report, and its human-readable text: what came in, what happened to it, what is missing.
import type { Gap, Problem } from './findings.ts'
import type { LetterTotals, PartitionRow } from './judge.ts'
import type { StoreTotals } from './stored.ts'

export interface AuditTable {
  readonly raw: number
  readonly clean: number
  readonly duplicate: number
  readonly late: number
  readonly deadLettered: number
  /** Outcomes of the retained dead letters, the sinks' included. */
  readonly letters: LetterTotals
  readonly control: number
  readonly buffered: number
  /** Readings that write-ahead logs on this machine accepted; null if there are none. */
  readonly sent: { readonly logs: number; readonly accepted: number } | null
  /** Between the logs and raw, between raw and refine, between clean or late and the store. */
  readonly inFlight: { readonly toRaw: number; readonly toRefine: number; readonly toStore: number }
  /** Null if there is no store. */
  readonly store: StoreTotals | null
  readonly partitions: readonly PartitionRow[]
}

export interface AuditReport {
  readonly balanced: boolean
  readonly table: AuditTable
  /** Missing sequence numbers, at most 1,000 ranges; `gapCount` and `gapSeqs` are totals. */
  readonly gaps: readonly Gap[]
  readonly gapCount: number
  readonly gapSeqs: number
  /** What is not accounted for, at most 200; `problemCount` is the total. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** What could not be checked, and why. */
  readonly notes: readonly string[]
}

/** If Kafka could not be read. */
export const NO_ROWS: { readonly rows: readonly PartitionRow[] } = { rows: [] }

/** What a terminal shows without scrolling; --json has more. */
const LISTED_MAX = 20
const LABEL_COLUMNS = 26
const NUMBER_COLUMNS = 14

export function reportText({
  balanced,
  table,
  gaps,
  gapCount,
  gapSeqs,
  problems,
  problemCount,
  notes,
}: AuditReport): string {
  const { sent, inFlight, store } = table
  const lines = [
    ...(sent === null
      ? []
      : [
          row(
            'accepted by the logs',
            sent.accepted,
            `${sent.logs} write-ahead logs; ${number(inFlight.toRaw)} in flight to raw`,
          ),
        ]),
    row('raw', table.raw, 'repeated sends and control records included'),
    row('  clean', table.clean),
    row('  duplicates', table.duplicate),
    row('  late', table.late),
    row('  dead letters', table.deadLettered, lettersText(table)),
    row('  control', table.control),
    row('  buffered by refine', table.buffered),
    row('  in flight to refine', inFlight.toRefine),
    ...(store === null
      ? []
      : [
          row(
            'rows in the store',
            store.rows,
            `${number(store.expected)} distinct readings expected; ${number(inFlight.toStore)} in flight to the store`,
          ),
          ...(store.refused === 0
            ? []
            : [row('  refused by it', store.refused, 'dead-lettered: plumbline dlq list --stage TASK_PUT')]),
        ]),
    row('missing sequence numbers', gapSeqs, `${number(gapCount)} gaps`),
    ...listed(
      gaps.map(
        ({ sensor, epoch, from, to }) => `  gap: ${sensor} epoch ${epoch} seq ${from === to ? from : `${from}–${to}`}`,
      ),
      gapCount,
    ),
    ...notes.map((note) => `note: ${note}`),
    ...listed(
      problems.map(({ code, message }) => `PROBLEM ${code}: ${message}`),
      problemCount,
    ),
    balanced ? 'balanced: every record is accounted for' : `NOT balanced: ${number(problemCount)} problems`,
  ]
  return `${lines.join('\n')}\n`
}

function row(label: string, value: number, remark = ''): string {
  return `${label.padEnd(LABEL_COLUMNS)}${number(value).padStart(NUMBER_COLUMNS)}${remark === '' ? '' : `   ${remark}`}`
}

/** Empty while all of them are refine's and open. */
function lettersText({ letters: { open, replayed, dropped }, deadLettered }: AuditTable): string {
  if (open === deadLettered && replayed + dropped === 0) return ''
  return `with the sinks’: ${number(open)} open, ${number(replayed)} replayed, ${number(dropped)} dropped`
}

function listed(lines: readonly string[], total: number): string[] {
  const shown = lines.slice(0, LISTED_MAX)
  return total > shown.length ? [...shown, `  … and ${number(total - shown.length)} more; --json lists them`] : shown
}

const number = (value: number): string => value.toLocaleString('en')
