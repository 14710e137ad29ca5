// Proposes what was not said about a file, from its first lines. The preview shows each proposal and its reason; an
// import takes none of them by itself.
import { METRIC_NAMES } from '../../../../platform/codec/reading.ts'
import { PRESETS } from './presets.ts'
import { delimiterOf, type PlanInput } from './plan.ts'
import { cellsOf, filled, type Sample } from './sample.ts'
import { timeParser } from './times.ts'
import { conversionOf, factorText, metricHint, metricsOf, unitIn } from './units.ts'

export interface Suggestion {
  readonly plan: PlanInput
  /** A sentence for each thing proposed or still open. */
  readonly reasons: readonly string[]
}

const DELIMITERS = [',', ';', '\t', '|']
const ROWS = 20
const PATTERNS = [
  'dd/mm/yyyy HH:MM:SS',
  'mm/dd/yyyy HH:MM:SS',
  'dd/mm/yyyy HH:MM',
  'mm/dd/yyyy HH:MM',
  'dd.mm.yyyy HH:MM:SS',
  'dd.mm.yyyy HH:MM',
  'dd-mm-yyyy HH:MM:SS',
  'yyyy/mm/dd HH:MM:SS',
  'yyyy/mm/dd HH:MM',
  'mm/dd/yy hh:MM:SS ap',
  'mm/dd/yyyy hh:MM:SS ap',
  'dd/mm/yyyy HH.MM.SS',
]
const EPOCHS = [
  { digits: 10, unit: 's' },
  { digits: 13, unit: 'ms' },
  { digits: 16, unit: 'us' },
  { digits: 19, unit: 'ns' },
]
const TIME_NAME = /^(ts|time|timestamp|date|datetime|date[ _/-]?time.*|created_at|last_changed|zeit|datum)$/i
const SENSOR_NAME = /^(sensor_id|sensor|device|device_id|meter|meter_id|station|station_id|entity_id)$/i

/** What distinguishes the files of a preset: texts that their first lines have. */
const MARKS: readonly (readonly [string, RegExp])[] = [
  ['campbell-toa5', /^\uFEFF?"?TOA5"?,/],
  ['home-assistant', /^"?entity_id"?,"?state"?,"?last_changed"?/],
  ['thingspeak', /^"?created_at"?,"?entry_id"?/],
  ['shelly', /^timestamp,(a_)?total_act_energy|^Date\/time UTC,Active energy Wh/],
  ['uci-air-quality', /^Date;Time;CO\(GT\)/],
  ['household-power', /^Date;Time;Global_active_power/],
  ['meteostat', /^(time|date,hour|year,month,day,hour),temp,/],
]

/** The preset that the file looks like; null for none, and where it would contradict what was said. */
export function presetOf({ lines }: Sample, said: PlanInput): string | null {
  const found = MARKS.find(([, mark]) => mark.test(lines[0] ?? ''))?.[0] ?? null
  const isLong = found !== null && PRESETS[found].variants.some(({ plan }) => plan.names !== undefined)
  return isLong && said.map !== undefined ? null : found
}

/** @param said what is known already; it is never contradicted */
export function suggest(sample: Sample, said: PlanInput): Suggestion {
  const plan: Record<string, unknown> = {}
  const reasons: string[] = []
  const propose = (key: keyof PlanInput, value: unknown, reason: string): void => {
    plan[key] = value
    reasons.push(reason)
  }
  if (said.encoding === undefined && sample.encoding !== 'utf-8')
    propose('encoding', sample.encoding, `the bytes look like ${sample.encoding}`)
  if (said.format === 'jsonl') return { plan, reasons }
  const lines = filled(sample.lines, said.comment)
  const delimiter = said.delimiter === undefined ? delimiterIn(lines) : delimiterOf(said.delimiter)
  if (said.delimiter === undefined && delimiter !== ',')
    propose('delimiter', delimiter === '\t' ? 'tab' : delimiter, `columns are separated by ${name(delimiter)}`)
  const rows = lines.slice((said.headerLine ?? 1) - 1).map((line) => cellsOf(line, delimiter))
  const hasHeader = said.columns === undefined && !rows[0]?.some(isValue)
  if (said.columns === undefined && !hasHeader) {
    const columns = (rows[0] ?? []).map((_, i) => `column${i + 1}`)
    propose('columns', columns, 'the first line has values, so the file has no header: the columns were numbered')
  }
  const header = said.columns ?? (plan.columns as string[] | undefined) ?? rows[0] ?? []
  const isHeaderLine = hasHeader || said.headerLine !== undefined
  const body = rows.slice((isHeaderLine ? 1 : 0) + (said.unitsRows ?? 0)).slice(0, ROWS)
  const units = said.unitsRows === undefined || said.unitsRows === 0 ? [] : (rows[1] ?? [])
  if (said.decimal === undefined && delimiter !== ',' && isComma(body))
    propose('decimal', ',', 'numbers have a decimal comma')
  // In our own form: its columns mean what their names say.
  if (said.map === undefined && said.tsColumns === undefined && isOurs(header)) return { plan, reasons }
  const used = proposeTime(header, body, said, propose)
  const sensorColumn = header.find((column) => SENSOR_NAME.test(column))
  if (said.sensor === undefined && said.sensorColumn === undefined && sensorColumn !== undefined)
    propose('sensorColumn', sensorColumn, `${sensorColumn} names the sensor`)
  else if (said.sensor === undefined && said.sensorColumn === undefined && said.namesColumn === undefined)
    reasons.push('no column names the sensor: give --sensor')
  if (said.map === undefined && said.namesColumn === undefined)
    proposeMap(
      header.filter((column) => !used.includes(column) && column !== sensorColumn),
      (column) => units[header.indexOf(column)] ?? '',
      propose,
    )
  return { plan, reasons }
}

type Propose = (key: keyof PlanInput, value: unknown, reason: string) => void

function delimiterIn(lines: readonly string[]): string {
  const widths = DELIMITERS.map((delimiter) =>
    Math.min(...lines.slice(0, ROWS).map((line) => cellsOf(line, delimiter).length)),
  )
  return DELIMITERS[widths.indexOf(Math.max(...widths))]
}

const isOurs = (header: readonly string[]): boolean =>
  header.includes('sensor_id') && header.includes('ts') && METRIC_NAMES.some((metric) => header.includes(metric))

const isValue = (cell: string): boolean => /^[+-]?\d+([.,]\d+)?$|^\d{4}-\d\d|^\d\d?[./]\d\d?[./]\d{2}/.test(cell)

function isComma(rows: readonly (readonly string[])[]): boolean {
  const cells = rows.flat()
  return cells.some((cell) => /^[+-]?\d+,\d+$/.test(cell)) && !cells.some((cell) => /^[+-]?\d+\.\d+$/.test(cell))
}

/** @returns the columns of the time */
function proposeTime(
  header: readonly string[],
  body: readonly (readonly string[])[],
  said: PlanInput,
  propose: Propose,
): readonly string[] {
  const date = header.find((column) => /^(date|datum)$/i.test(column))
  const clock = header.find((column) => /^(time|zeit)$/i.test(column))
  const single = header.find((column) => TIME_NAME.test(column))
  const columns = said.tsColumns ?? (date !== undefined && clock !== undefined ? [date, clock] : single ? [single] : [])
  if (columns.length === 0) return []
  if (said.tsColumns === undefined) propose('tsColumns', columns, `${columns.join(' and ')} have the time`)
  const texts = body.map((row) => columns.map((column) => row[header.indexOf(column)] ?? '').join(' '))
  const formats = said.tsFormat === undefined ? formatsOf(texts) : []
  if (formats.length > 0)
    propose(
      'tsFormat',
      formats[0],
      formats.length === 1
        ? `times are written as ${formats[0]}`
        : `times may be written as ${formats.join(' or as ')}: check the first readings`,
    )
  return columns
}

/** All that read every text. */
function formatsOf(texts: readonly string[]): string[] {
  const known = texts.filter((text) => text.trim() !== '')
  if (known.length === 0) return []
  const epoch = EPOCHS.find(({ digits }) => known.every((text) => new RegExp(`^\\d{${digits}}(\\.\\d+)?$`).test(text)))
  if (epoch !== undefined) return [epoch.unit]
  return ['iso', ...PATTERNS].filter((format) => {
    const parse = timeParser(format)
    return known.every((text) => {
      try {
        return Number.isFinite(parse(text))
      } catch {
        return false
      }
    })
  })
}

function proposeMap(columns: readonly string[], unitFor: (column: string) => string, propose: Propose): void {
  const taken = new Set<string>()
  const entries = columns.flatMap((column) => {
    const unit = unitFor(column) || unitIn(column)
    const conversion = conversionOf(unit)
    const hint = metricHint(column)
    const fitting = conversion === null ? [] : metricsOf(conversion.unit)
    const metric = fitting.includes(hint ?? '') ? hint : (fitting[0] ?? hint)
    if (metric == null) return []
    const part = taken.has(metric) ? `@${column}` : ''
    taken.add(metric)
    return [`${metric}${part}=${column}${conversion === null ? '' : factorText(conversion)}`]
  })
  if (entries.length > 0)
    propose('map', entries, 'metrics are proposed by the names and units of the columns: check each of them')
}

const name = (delimiter: string): string => (delimiter === '\t' ? 'TAB' : delimiter)
