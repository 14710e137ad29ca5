// From a row of a file to the JSON of its readings: which column is which metric, in which unit, where sensor and time
// come from. What it makes is checked like any reading from outside. A mapping is bound to the columns of a file once;
// per row nothing but places is looked up.
import { parseDecimal } from '../../../../platform/decimal.ts'
import { METRIC_NAMES } from '../../../../platform/codec/reading.ts'
import { InputError } from '../../../../platform/errors.ts'
import { type Condition, holds, parseCondition } from './filter.ts'
import { convert, type MetricEntry, NameMatcher, parseEntry } from './names.ts'
import { type ParseTime, timeParser } from './times.ts'
import { type SkippedChoice, type TwiceChoice, Zone } from './zone.ts'

export interface MappingOptions {
  /** See parseEntry; empty: columns are named as the fields of a reading. */
  readonly map: readonly string[]
  /** Columns of the time, joined by a space. */
  readonly tsColumns: readonly string[]
  readonly tsFormat: string
  /** Of local times; UTC if not given. */
  readonly tz?: string
  readonly tzTwice?: TwiceChoice
  readonly tzSkipped?: SkippedChoice
  /** The sensor of all rows, or the column that names it. */
  readonly sensor?: string
  readonly sensorColumn?: string
  readonly tenant?: string
  readonly site?: string
  /** Texts that mean a missing value; an empty cell always does. */
  readonly missing: readonly string[]
  readonly decimal?: '.' | ','
  readonly where?: readonly string[]
  /** Long form: a column that names what is in the column of values. */
  readonly namesColumn?: string
  readonly valueColumn?: string
  readonly names?: readonly string[]
  readonly tags: Readonly<Record<string, string>>
  /** Whether columns epoch and seq number the readings. If not given: only where no mapping is. */
  readonly numbered?: boolean
}

/** Cells by place in a CSV, by name in JSON lines. */
export type Row = readonly unknown[] | Readonly<Record<string, unknown>>
type Key = string | number

/** Fields of a reading that a column of the same name may give. */
export const TEXT_FIELDS = ['tenant_id', 'site_id', 'node_id', 'sensor_id'] as const
const NUMBER_FIELDS = ['mono_ms'] as const
const NUMBERED_FIELDS = ['epoch', 'seq'] as const

export class Mapping {
  readonly options: MappingOptions
  readonly entries: readonly MetricEntry[]
  readonly nameEntries: readonly MetricEntry[]
  readonly conditions: readonly Condition[]

  /** @throws InputError naming the option */
  constructor(options: MappingOptions) {
    this.options = options
    this.entries = options.map.map((text) => parseEntry(text, 'map'))
    this.nameEntries = (options.names ?? []).map((text) => parseEntry(text, 'names'))
    this.conditions = (options.where ?? []).map(parseCondition)
    const parts = [options.namesColumn, options.valueColumn, options.names].filter((part) => part !== undefined)
    if (parts.length !== 0 && parts.length !== 3)
      throw new InputError(
        'NAMES',
        'names',
        'a file with a column of names needs all of --names-column, --value-column and --name',
      )
    if (this.isLong && this.entries.length > 0)
      throw new InputError('NAMES', 'map', '--map names columns and --name names in a column: use one of both')
    this.#newParser()
  }

  /** One value a row, whose metric a column names. */
  get isLong(): boolean {
    return this.options.namesColumn !== undefined
  }

  /** The file is not in our own form, so that its columns mean what the mapping says, and nothing by their names. */
  get isForeign(): boolean {
    return this.isLong || this.entries.length > 0
  }

  /** Columns epoch and seq are ours. If not said, only in our own form: no mapping, no sensor or time of other columns. */
  get isNumbered(): boolean {
    const { numbered, tsColumns, sensor, sensorColumn } = this.options
    const isOurs = !this.isForeign && tsColumns.join() === 'ts' && sensor === undefined && sensorColumn === undefined
    return numbered ?? isOurs
  }

  /** Columns that a file must have; checked against its header. */
  get columns(): string[] {
    const { tsColumns, sensorColumn, namesColumn, valueColumn } = this.options
    const optional = [sensorColumn, namesColumn, valueColumn].filter((column) => column !== undefined)
    const filtered = this.conditions.map(({ column }) => column)
    return [...new Set([...tsColumns, ...optional, ...filtered, ...this.entries.map(({ source }) => source)])]
  }

  /**
   * For one pass over a file, from its first row on.
   * @param header of a CSV; null for JSON lines
   */
  bind(header: readonly string[] | null): RowReader {
    return new RowReader(this, header, this.#newParser())
  }

  #newParser(): ParseTime {
    const { tsFormat, tz, tzTwice = 'refuse', tzSkipped = 'refuse' } = this.options
    return timeParser(tsFormat, tz === undefined ? undefined : new Zone({ tz, twice: tzTwice, skipped: tzSkipped }))
  }
}

interface Group {
  readonly part: string | null
  readonly metrics: readonly { readonly entry: MetricEntry; readonly key: Key }[]
}

export class RowReader {
  readonly #mapping: Mapping
  readonly #parseTime: ParseTime
  readonly #width: number
  readonly #texts: readonly { readonly field: string; readonly key: Key }[]
  readonly #numbers: readonly { readonly field: string; readonly key: Key }[]
  readonly #tsKeys: readonly Key[]
  readonly #sensorKey: Key | undefined
  readonly #tagsKey: Key | undefined
  readonly #where: readonly { readonly condition: Condition; readonly key: Key }[]
  readonly #groups: readonly Group[]
  readonly #long: { readonly names: Key; readonly value: Key; readonly matcher: NameMatcher } | null
  readonly #missing: ReadonlySet<string>
  readonly #missingNumbers: ReadonlySet<number>
  readonly #isComma: boolean
  filtered = 0
  /** Names that no entry has, with their rows; at most `UNMAPPED_MAX`. */
  readonly unmapped = new Map<string, number>()

  constructor(mapping: Mapping, header: readonly string[] | null, parseTime: ParseTime) {
    const { options } = mapping
    this.#mapping = mapping
    this.#parseTime = parseTime
    this.#width = header?.length ?? Infinity
    const keyOf = (name: string): Key => (header === null ? name : header.indexOf(name))
    const has = (name: string): boolean => header === null || header.includes(name)
    const fieldsOf = (names: readonly string[]): { field: string; key: Key }[] =>
      names.filter(has).map((field) => ({ field, key: keyOf(field) }))
    this.#texts = fieldsOf(TEXT_FIELDS)
    const numbered = header === null || NUMBERED_FIELDS.every(has) ? NUMBERED_FIELDS : []
    this.#numbers = fieldsOf(mapping.isNumbered ? [...numbered, ...NUMBER_FIELDS] : NUMBER_FIELDS)
    this.#tsKeys = options.tsColumns.map(keyOf)
    this.#sensorKey = options.sensorColumn === undefined ? undefined : keyOf(options.sensorColumn)
    this.#tagsKey = has('tags') ? keyOf('tags') : undefined
    this.#where = mapping.conditions.map((condition) => ({ condition, key: keyOf(condition.column) }))
    const entries = mapping.isForeign ? mapping.entries : METRIC_NAMES.filter(has).map(ownEntry)
    this.#groups = [...new Set(entries.map(({ part }) => part))].map((part) => ({
      part,
      metrics: entries.filter((entry) => entry.part === part).map((entry) => ({ entry, key: keyOf(entry.source) })),
    }))
    this.#long = mapping.isLong
      ? {
          names: keyOf(options.namesColumn!),
          value: keyOf(options.valueColumn!),
          matcher: new NameMatcher(mapping.nameEntries),
        }
      : null
    this.#missing = new Set(options.missing)
    this.#missingNumbers = new Set(options.missing.map(parseDecimal).filter((value) => value !== null))
    this.#isComma = options.decimal === ','
  }

  /**
   * The readings of a row: none where a condition or a name leaves it out, several where its columns are of several sensors.
   * @param shiftMs added to the time
   * @throws InputError
   */
  read(row: Row, shiftMs: number): Record<string, unknown>[] {
    if (Array.isArray(row) && row.length > this.#width) this.#refuseSurplus(row)
    for (const { condition, key } of this.#where)
      if (!holds(condition, String(cellOf(row, key) ?? ''))) {
        this.filtered += 1
        return []
      }
    return this.#long === null ? this.#readWide(row, shiftMs) : this.#readLong(row, this.#long, shiftMs)
  }

  #readWide(row: Row, shiftMs: number): Record<string, unknown>[] {
    const readings: Record<string, unknown>[] = []
    let empty: Record<string, unknown> | null = null
    for (const { part, metrics } of this.#groups) {
      const reading = this.#frameOf(row, part, shiftMs)
      let values = 0
      for (const { entry, key } of metrics) {
        const cell = cellOf(row, key)
        if (this.#isMissing(cell)) continue
        reading[entry.metric] = convert(this.#number(cell, entry.source), entry)
        values += 1
      }
      if (values > 0) readings.push(reading)
      else empty ??= reading
    }
    if (readings.length === 0) readings.push(empty ?? this.#frameOf(row, null, shiftMs))
    return readings
  }

  #readLong(
    row: Row,
    { names, value, matcher }: { names: Key; value: Key; matcher: NameMatcher },
    shiftMs: number,
  ): Record<string, unknown>[] {
    const name = String(cellOf(row, names) ?? '')
    const entry = matcher.find(name)
    if (entry === null) {
      this.#countUnmapped(name)
      return []
    }
    const { sensor, sensorColumn } = this.#mapping.options
    const isNamed = sensor !== undefined || sensorColumn !== undefined
    const reading = this.#frameOf(row, isNamed ? entry.part : (entry.part ?? name), shiftMs)
    const cell = cellOf(row, value)
    if (!this.#isMissing(cell))
      reading[entry.metric] = convert(this.#number(cell, this.#mapping.options.valueColumn!), entry)
    return [reading]
  }

  /** A reading without its metrics. */
  #frameOf(row: Row, part: string | null, shiftMs: number): Record<string, unknown> {
    const { sensor, tenant, site, tags, sensorColumn } = this.#mapping.options
    const reading: Record<string, unknown> = {}
    for (const { field, key } of this.#texts) {
      const cell = cellOf(row, key)
      if (!this.#isMissing(cell)) reading[field] = toId(cell, field)
    }
    for (const { field, key } of this.#numbers) {
      const cell = cellOf(row, key)
      if (!this.#isMissing(cell) && this.#isWhole(row, field)) reading[field] = this.#number(cell, field)
    }
    const given = this.#tagsKey === undefined ? undefined : cellOf(row, this.#tagsKey)
    if (given !== undefined && typeof given === 'object') reading.tags = given
    else if (Object.keys(tags).length > 0) reading.tags = tags
    if (tenant !== undefined) reading.tenant_id = tenant
    if (site !== undefined) reading.site_id = site
    if (this.#sensorKey !== undefined) reading.sensor_id = toId(cellOf(row, this.#sensorKey) ?? '', sensorColumn!)
    else if (sensor !== undefined) reading.sensor_id = sensor
    if (part !== null)
      reading.sensor_id = reading.sensor_id === undefined ? part : `${String(reading.sensor_id)}.${part}`
    reading.ts = this.#parseTime(this.#timeText(row), reading.sensor_id as string | undefined) + shiftMs
    return reading
  }

  /** A line of JSON has epoch and seq together, or they are not ours. */
  #isWhole(row: Row, field: string): boolean {
    return Array.isArray(row) || field === 'mono_ms' || ('epoch' in row && 'seq' in row)
  }

  #timeText(row: Row): string {
    const keys = this.#tsKeys
    if (keys.length === 1) return String(cellOf(row, keys[0]) ?? '')
    return keys.map((key) => String(cellOf(row, key) ?? '')).join(' ')
  }

  #isMissing(cell: unknown): boolean {
    if (cell === undefined || cell === null || cell === '') return true
    if (this.#missing.size === 0) return false
    if (typeof cell === 'number') return this.#missingNumbers.has(cell)
    if (typeof cell !== 'string') return false
    if (this.#missing.has(cell)) return true
    // -200, -200.0 and, with a decimal comma, -200,0 are one value.
    const value = this.#missingNumbers.size === 0 ? null : parseDecimal(this.#isComma ? cell.replace(',', '.') : cell)
    return value !== null && this.#missingNumbers.has(value)
  }

  #number(cell: unknown, column: string): number {
    if (typeof cell === 'number') return cell
    const text = typeof cell === 'string' ? cell : ''
    // With a decimal comma a point separates thousands, or is a mistake: 1.234 is not guessed at.
    const value = !this.#isComma ? parseDecimal(text) : text.includes('.') ? null : parseDecimal(text.replace(',', '.'))
    if (value !== null) return value
    const hint = !this.#isComma && /^[+-]?\d+,\d+$/.test(text.trim()) ? '; for a decimal comma give --decimal ,' : ''
    throw new InputError(
      'NOT_A_NUMBER',
      column,
      `${column}: ${JSON.stringify(String(cell).slice(0, 40))} is not a number${hint}`,
    )
  }

  #refuseSurplus(row: readonly unknown[]): void {
    if (row.every((cell, i) => i < this.#width || cell === '')) return
    throw new InputError(
      'CELLS',
      'row',
      `the row has ${row.length} cells; the header has ${this.#width} columns. A decimal comma needs another --delimiter`,
    )
  }

  #countUnmapped(name: string): void {
    const before = this.unmapped.get(name)
    if (before === undefined && this.unmapped.size >= UNMAPPED_MAX) name = OTHERS
    this.unmapped.set(name, (this.unmapped.get(name) ?? 0) + 1)
  }
}

const UNMAPPED_MAX = 100
const OTHERS = 'others'

const ownEntry = (metric: string): MetricEntry => ({ metric, part: null, source: metric, factor: 1, offset: 0 })

const cellOf = (row: Row, key: Key): unknown => (row as Readonly<Record<Key, unknown>>)[key]

/** JSON's numbers have lost their digits beyond 2^53 by now, so that two ids would be one; true would be "true". */
function toId(cell: unknown, field: string): string {
  if (typeof cell === 'string') return cell
  throw new InputError(
    'WRONG_TYPE',
    field,
    `${field} is of type ${typeof cell}; an identifier must be text: put it in quotes`,
  )
}
