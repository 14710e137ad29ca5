// What a mapping makes of each column, in words: shown by the preview and before every import, so that nothing is taken
// silently for what it is not.
import { METRIC_NAMES } from '../../../../platform/codec/reading.ts'
import { parseIso } from '../../event-time.ts'
import { type Mapping, TEXT_FIELDS } from './mapping.ts'
import type { MetricEntry } from './names.ts'
import { isLocalFormat } from './times.ts'
import { factorText, unitOf } from './units.ts'
import type { Origin } from './warnings.ts'

const sourceOf = (entry: MetricEntry): string => `${entry.source}${factorText(entry)}`
const partOf = ({ part }: MetricEntry): string => (part === null ? '' : `, of sensor part ${part}`)

/** What becomes of a column; null where it is not used. */
export function useOf(mapping: Mapping, header: readonly string[], column: string): string | null {
  const { tsColumns, sensorColumn, namesColumn, valueColumn } = mapping.options
  const uses: string[] = []
  if (tsColumns.includes(column)) uses.push('time')
  if (sensorColumn === column) uses.push('sensor')
  if (namesColumn === column) uses.push('name of the metric')
  if (valueColumn === column) uses.push('value')
  if (mapping.conditions.some((condition) => condition.column === column)) uses.push('condition')
  for (const entry of mapping.entries)
    if (entry.source === column)
      uses.push(`${entry.metric} (${unitOf(entry.metric)})${factorText(entry)}${partOf(entry)}`)
  if (!mapping.isForeign && METRIC_NAMES.includes(column)) uses.push(`${column} (${unitOf(column)})`)
  if ((TEXT_FIELDS as readonly string[]).includes(column) && !isReplaced(mapping, column)) uses.push(column)
  if (column === 'mono_ms' || column === 'tags') uses.push(column)
  if (isNumberColumn(column) && mapping.isNumbered && ['epoch', 'seq'].every((name) => header.includes(name)))
    uses.push(`the reading's own ${column}`)
  return uses.length === 0 ? null : uses.join(', ')
}

const isNumberColumn = (column: string): boolean => column === 'epoch' || column === 'seq'

function isReplaced({ options }: Mapping, column: string): boolean {
  const given: Readonly<Record<string, string | undefined>> = {
    tenant_id: options.tenant,
    site_id: options.site,
    sensor_id: options.sensor ?? options.sensorColumn,
  }
  return given[column] !== undefined
}

/** The mapping in lines, without columns that are not used. */
export function describeMapping(mapping: Mapping): string[] {
  const {
    tsColumns,
    tsFormat,
    tz,
    sensor,
    sensorColumn,
    tenant,
    namesColumn,
    valueColumn,
    where = [],
  } = mapping.options
  const zone = isLocalFormat(tsFormat) ? `, times without a zone are ${tz ?? 'UTC'}` : ''
  const metrics = mapping.isLong
    ? mapping.nameEntries.map(
        (entry) => `${entry.metric} (${unitOf(entry.metric)}) = ${valueColumn} of ${sourceOf(entry)}${partOf(entry)}`,
      )
    : mapping.entries.map((entry) => `${entry.metric} (${unitOf(entry.metric)}) = ${sourceOf(entry)}${partOf(entry)}`)
  const named = sensorColumn ?? (mapping.isLong ? namesColumn : 'sensor_id')
  return [
    `time = ${tsColumns.join(' ')} as ${tsFormat}${zone}`,
    `sensor = ${sensor === undefined ? `column ${named}` : `"${sensor}"`}${tenant === undefined ? '' : `, tenant = "${tenant}"`}`,
    ...metrics,
    ...where.map((condition) => `only rows where ${condition}`),
  ]
}

/** What to do about columns that are not used; empty where all are. */
export function unusedColumns(mapping: Mapping, header: readonly string[]): string[] {
  const unused = header.filter((column) => column !== '' && useOf(mapping, header, column) === null)
  const numbers = unused.filter(isNumberColumn)
  const others = unused.filter((column) => !isNumberColumn(column))
  return [
    ...(others.length === 0
      ? []
      : [
          `not used: ${shortened(others)}; map a column by --map metric=column. The metrics are ${METRIC_NAMES.join(', ')}; another one has to be declared first`,
        ]),
    ...(numbers.length === 0
      ? []
      : [
          `not used: ${numbers.join(', ')}; they are taken as the file's own. --numbered takes epoch and seq as the readings' numbers`,
        ]),
  ]
}

/** What to do about names in the column of names that no entry has. */
export function unmappedNames(unmapped: ReadonlyMap<string, number>): string[] {
  if (unmapped.size === 0) return []
  const names = [...unmapped].map(([name, rows]) => `${name} (${rows} rows)`)
  return [`left out, since no --name has them: ${shortened(names)}; add one such as --name temperature_c=NAME`]
}

const SHOWN = 30
function shortened(names: readonly string[]): string {
  return names.length <= SHOWN
    ? names.join(', ')
    : `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`
}

/** Where each metric comes from, for warnings. */
export function originsOf(mapping: Mapping, header: readonly string[], units: readonly string[]): Origin[] {
  const entries = mapping.isLong ? mapping.nameEntries : mapping.entries
  return entries.map((entry) => ({
    entry,
    name: entry.source,
    unit: mapping.isLong ? '' : (units[header.indexOf(entry.source)] ?? ''),
  }))
}

/** Whether this text of a time leaves its zone open. */
export function isLocalTime(tsFormat: string, text: string): boolean {
  if (tsFormat !== 'iso') return isLocalFormat(tsFormat)
  const parsed = parseIso(text.trim())
  return parsed !== null && parsed !== 'not a date' && !parsed.hasZone
}
