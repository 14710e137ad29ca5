// From a row of a file to the JSON of a reading: which column is which metric, in which unit, where sensor and time
// come from. What it makes is checked like any reading from outside.
import { InputError } from '../../../platform/errors.ts'
import { parseDecimal } from '../../../platform/decimal.ts'
import { METRIC_NAMES } from '../../../platform/codec/reading.ts'
import { type ParseTime, timeParser } from './times.ts'

export interface MappingOptions {
  /** `metric=column` or `metric=column*factor`; empty: columns are named as the fields of a reading. */
  readonly map: readonly string[]
  /** Columns of the time, joined by a space. */
  readonly tsColumns: readonly string[]
  readonly tsFormat: string
  /** The sensor of all rows, or the column that names it. */
  readonly sensor?: string
  readonly sensorColumn?: string
  readonly tenant?: string
  readonly site?: string
  /** Text that means a missing value; an empty cell always does. */
  readonly missing: string
  readonly tags: Readonly<Record<string, string>>
}

export type Row = Readonly<Record<string, unknown>>

interface MetricColumn {
  readonly metric: string
  readonly column: string
  readonly factor: number
}

/** Fields of a reading that a column of the same name may give. */
const TEXT_FIELDS = ['tenant_id', 'site_id', 'node_id', 'sensor_id'] as const
const NUMBER_FIELDS = ['mono_ms'] as const
const NUMBERED_FIELDS = ['epoch', 'seq', ...NUMBER_FIELDS] as const
const MAP = /^([^=]+)=(.+?)(?:\*(-?\d+(?:\.\d+)?(?:e-?\d+)?))?$/

export class Mapping {
  readonly #options: MappingOptions
  readonly #metrics: readonly MetricColumn[]
  readonly #parseTime: ParseTime

  /** @throws InputError naming the option */
  constructor(options: MappingOptions) {
    this.#options = options
    this.#metrics =
      options.map.length > 0
        ? options.map.map(parseMap)
        : METRIC_NAMES.map((metric) => ({ metric, column: metric, factor: 1 }))
    this.#parseTime = timeParser(options.tsFormat)
  }

  /** Columns that a file must have; checked against its first row. */
  get columns(): string[] {
    const { tsColumns, sensorColumn, map } = this.#options
    return [
      ...tsColumns,
      ...(sensorColumn === undefined ? [] : [sensorColumn]),
      ...(map.length > 0 ? this.#metrics.map(({ column }) => column) : []),
    ]
  }

  /**
   * @param shiftMs added to the time
   * @throws InputError
   */
  toReading(row: Row, shiftMs: number): Record<string, unknown> {
    const { tsColumns, sensor, sensorColumn, tenant, site, tags } = this.#options
    const reading: Record<string, unknown> = {}
    for (const field of TEXT_FIELDS) if (this.#has(row[field])) reading[field] = toId(row[field], field)
    // Many files have a column "epoch" or "seq" of their own; ours come together.
    const fields = 'epoch' in row && 'seq' in row ? NUMBERED_FIELDS : NUMBER_FIELDS
    for (const field of fields) if (this.#has(row[field])) reading[field] = toNumber(row[field], field)
    if (row.tags !== undefined && typeof row.tags === 'object') reading.tags = row.tags
    else if (Object.keys(tags).length > 0) reading.tags = tags
    if (tenant !== undefined) reading.tenant_id = tenant
    if (site !== undefined) reading.site_id = site
    if (sensorColumn !== undefined) reading.sensor_id = toId(row[sensorColumn] ?? '', sensorColumn)
    else if (sensor !== undefined) reading.sensor_id = sensor
    reading.ts = this.#parseTime(tsColumns.map((column) => String(row[column] ?? '')).join(' ')) + shiftMs
    for (const { metric, column, factor } of this.#metrics) {
      if (!this.#has(row[column])) continue
      const value = toNumber(row[column], column)
      // 15 digits: 5.374 kW are 5374 W, not 5373.999999999999.
      reading[metric] = factor === 1 ? value : Number((value * factor).toPrecision(15))
    }
    return reading
  }

  #has(cell: unknown): boolean {
    return cell !== undefined && cell !== null && cell !== '' && cell !== this.#options.missing
  }
}

function parseMap(text: string): MetricColumn {
  const match = MAP.exec(text)
  if (match === null) throw new InputError('MAP', 'map', `${text} is not metric=column or metric=column*factor`)
  const [, metric, column, factor] = match
  if (!METRIC_NAMES.includes(metric))
    throw new InputError('MAP', 'map', `${metric} is not a metric; the metrics are ${METRIC_NAMES.join(', ')}`)
  return { metric, column, factor: factor === undefined ? 1 : Number(factor) }
}

/** JSON's numbers have lost their digits beyond 2^53 by now, so that two ids would be one; true would be "true". */
function toId(cell: unknown, field: string): string {
  if (typeof cell === 'string') return cell
  throw new InputError(
    'WRONG_TYPE',
    field,
    `${field} is of type ${typeof cell}; an identifier must be text: put it in quotes`,
  )
}

function toNumber(cell: unknown, field: string): number {
  const value = typeof cell === 'number' ? cell : typeof cell === 'string' ? parseDecimal(cell) : null
  if (value === null)
    throw new InputError(
      'NOT_A_NUMBER',
      field,
      `${field}: ${JSON.stringify(String(cell).slice(0, 40))} is not a number`,
    )
  return value
}
