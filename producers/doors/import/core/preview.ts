// The preview as text: the columns and what becomes of them, the first readings, what an import would do, and what looks
// wrong.
import type { Reading } from '../../../../platform/codec/reading.ts'
import { METRIC_NAMES } from '../../../../platform/codec/reading.ts'
import { describeMapping, isLocalTime, unmappedNames, unusedColumns, useOf } from './describe.ts'
import type { Mapping } from './mapping.ts'
import { type Plan, type PlanInput, printPlan } from './plan.ts'
import type { Statistics } from './statistics.ts'
import { unitOf } from './units.ts'
import { contradictions, type Origin } from './warnings.ts'

export interface PreviewInput {
  readonly file: string
  readonly plan: Plan
  readonly mapping: Mapping
  readonly header: readonly string[]
  readonly units: readonly (readonly string[])[]
  /** The cells of the first row, in the order of the header. */
  readonly firstRow: readonly string[]
  readonly firstReadings: readonly Reading[]
  /** Reasons for what was proposed. */
  readonly proposals: readonly string[]
  readonly note: string | undefined
  readonly origins: readonly Origin[]
  readonly result: {
    readonly readings: number
    readonly rejected: number
    readonly empty: number
    readonly filtered: number
    readonly tsMin: number
    readonly tsMax: number
    readonly unmapped: ReadonlyMap<string, number>
    readonly errors: readonly string[]
    readonly statistics: Statistics
    /** Why there is no result. */
    readonly failure: string | null
  }
}

const CELL_MAX = 28
const SERIES_SHOWN = 50

export function previewLines(input: PreviewInput): string[] {
  const { file, plan, mapping, header, proposals, note } = input
  const form =
    plan.format === 'jsonl'
      ? 'JSON lines'
      : `CSV, columns separated by ${plan.delimiter === '\t' ? 'TAB' : plan.delimiter}, ${plan.columns === undefined ? `header in line ${plan.headerLine ?? 1}` : 'columns as given'}`
  return [
    `${file}: ${form}, ${plan.encoding}${plan.decimal === ',' ? ', decimal comma' : ''}`,
    ...indent('proposed, since it was not said', proposals),
    ...(note === undefined ? [] : [`note: ${note}`]),
    '',
    ...columnTable(input),
    '',
    ...describeMapping(mapping),
    ...unusedColumns(mapping, header),
    '',
    ...firstReadings(input),
    '',
    ...outcome(input),
    ...warningsOf(input).map((warning) => `! ${warning}`),
  ]
}

const indent = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)]

function columnTable({ mapping, header, units, firstRow }: PreviewInput): string[] {
  const rows = header.map((column, i) => [
    column,
    ...(units.length === 0 ? [] : [units[0][i] ?? '']),
    firstRow[i] ?? '',
    useOf(mapping, header, column) ?? 'not used',
  ])
  return table([['column', ...(units.length === 0 ? [] : ['unit']), 'first value', 'becomes'], ...rows])
}

function firstReadings({ firstReadings: readings }: PreviewInput): string[] {
  if (readings.length === 0) return []
  const metrics = METRIC_NAMES.filter((metric) => readings.some((reading) => typeof reading[metric] === 'number'))
  const head = ['sensor', 'time', ...metrics.map((metric) => `${metric} (${unitOf(metric)})`)]
  return [
    'the first readings:',
    ...table([
      head,
      ...readings.map((reading) => [
        reading.sensor_id,
        new Date(reading.ts).toISOString(),
        ...metrics.map((metric) => (typeof reading[metric] === 'number' ? String(reading[metric]) : '')),
      ]),
    ]),
  ]
}

function outcome({ result }: PreviewInput): string[] {
  const { readings, rejected, empty, filtered, tsMin, tsMax, unmapped, errors, statistics, failure } = result
  if (failure !== null) return [`an import would fail: ${failure}`]
  const span = readings === 0 ? '' : `, from ${new Date(tsMin).toISOString()} to ${new Date(tsMax).toISOString()}`
  const { series, others, backwards } = statistics
  return [
    `an import would send ${readings} readings${span}`,
    `  ${rejected} rows would be rejected${empty > 0 ? `, ${empty} of them for having no value` : ''}; ${filtered} are left out by conditions`,
    ...unmappedNames(unmapped),
    ...errors.map((error) => `  ${error}`),
    ...(backwards > 0
      ? [`  ${backwards} readings are not after the previous one of their sensor: they are stored, and count as late`]
      : []),
    ...table([
      ['sensor', 'metric', 'values', 'from', 'to'],
      ...series
        .slice(0, SERIES_SHOWN)
        .map(({ sensor, metric, values, min, max }) => [
          sensor,
          `${metric} (${unitOf(metric)})`,
          String(values),
          String(min),
          String(max),
        ]),
    ]),
    ...(series.length > SERIES_SHOWN || others > 0 ? [`… and more, up to ${series.length + others} values`] : []),
  ]
}

function warningsOf({ plan, origins, firstRow, header, mapping, result }: PreviewInput): string[] {
  const text = plan.tsColumns.map((column) => firstRow[header.indexOf(column)] ?? '').join(' ')
  const isOpen = plan.tz === undefined && text.trim() !== '' && isLocalTime(plan.tsFormat, text)
  return [
    ...contradictions([...origins, ...(mapping.isLong ? [] : result.statistics.origins)]),
    ...(isOpen
      ? [`the times have no zone and are taken as UTC; if they are local, give --tz, such as --tz Europe/Berlin`]
      : []),
  ]
}

/** What to type to import what was previewed. */
export function nextStep(file: string, plan: PlanInput, writtenTo: string | null): string[] {
  if (writtenTo !== null) return [`the mapping is in ${writtenTo}: plumbline import ${file} --mapping ${writtenTo}`]
  return [
    'as a mapping file, which --write-mapping FILE writes:',
    ...printPlan(plan)
      .trimEnd()
      .split('\n')
      .map((line) => `  ${line}`),
  ]
}

function table(rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) =>
    row.map((cell) => (cell.length > CELL_MAX && row !== rows[0] ? `${cell.slice(0, CELL_MAX - 1)}…` : cell)),
  )
  // The last column is not cut: it says what becomes of the others.
  for (const [i, row] of rows.entries()) cells[i][row.length - 1] = row.at(-1)!
  const widths = cells[0].map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)))
  return cells.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i])).join('  ')}`.trimEnd())
}
