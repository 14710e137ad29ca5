// What names and units say of a column: which metric it may be, and by which factor its unit becomes ours. Used to propose
// and to warn, never to import by.
import { METRICS } from '../../../../schemas/metrics.ts'

export interface Conversion {
  /** A unit of the metrics. */
  readonly unit: string
  readonly factor: number
  readonly offset: number
}

const to = (unit: string, factor = 1, offset = 0): Conversion => ({ unit, factor, offset })
/** Spellings in which capitals count: mW is not MW. */
const EXACT: Readonly<Record<string, Conversion>> = {
  mW: to('W', 0.001),
  MW: to('W', 1e6),
  MWh: to('Wh', 1e6),
  mWh: to('Wh', 0.001),
  mA: to('A', 0.001),
  mV: to('V', 0.001),
  K: to('°C', 1, -273.15),
}
const SPELLINGS: Readonly<Record<string, Conversion>> = {
  ...{ w: to('W'), watt: to('W'), watts: to('W'), kw: to('W', 1_000), kilowatt: to('W', 1_000) },
  ...{ v: to('V'), volt: to('V'), volts: to('V'), kv: to('V', 1_000) },
  ...{ a: to('A'), amp: to('A'), amps: to('A'), ampere: to('A'), amperes: to('A') },
  ...{ wh: to('Wh'), kwh: to('Wh', 1_000) },
  ...{ '°c': to('°C'), c: to('°C'), degc: to('°C'), deg_c: to('°C'), 'deg c': to('°C'), celsius: to('°C') },
  ...{ '°f': to('°C', 0.555555556, -17.7777778), degf: to('°C', 0.555555556, -17.7777778) },
  ...{ f: to('°C', 0.555555556, -17.7777778), 'deg f': to('°C', 0.555555556, -17.7777778) },
  ...{ kelvin: to('°C', 1, -273.15), degk: to('°C', 1, -273.15) },
  ...{ '%': to('%'), pct: to('%'), percent: to('%'), '%rh': to('%'), '% rh': to('%') },
  ...{ hpa: to('hPa'), mbar: to('hPa'), mb: to('hPa'), millibar: to('hPa'), millibars: to('hPa') },
  ...{ pa: to('hPa', 0.01), kpa: to('hPa', 10), bar: to('hPa', 1_000), mmhg: to('hPa', 1.33322) },
  ...{ inhg: to('hPa', 33.8639), 'mm/s': to('mm/s'), 'm/s rms': to('mm/s', 1_000) },
}

/** Null for a text that is not a unit of a metric. */
export function conversionOf(unit: string): Conversion | null {
  const trimmed = unit.trim()
  if (Object.hasOwn(EXACT, trimmed)) return EXACT[trimmed]
  const lower = trimmed.toLowerCase()
  return Object.hasOwn(SPELLINGS, lower) ? SPELLINGS[lower] : null
}

/** The unit in a name such as `Power (kW)`, `T [°C]` or `power_kW`; empty for none. */
export function unitIn(name: string): string {
  const bracketed = /[([]([^()[\]]+)[)\]]\s*$/.exec(name)?.[1]
  if (bracketed !== undefined) return conversionOf(bracketed) === null ? '' : bracketed
  const last = /[_ .]([A-Za-z%°]{2,5})$/.exec(name)?.[1]
  return last !== undefined && conversionOf(last) !== null ? last : ''
}

/** What a name speaks of; the first that fits. Words of several quantities ("power_factor") are none of them. */
const HINTS: readonly (readonly [RegExp, string | null])[] = [
  [/factor|setpoint|set_point|target|percent_change/, null],
  [/cpu|processor/, 'cpu_usage_pct'],
  [/memory|(^|[^a-z])ram([^a-z]|$)/, 'memory_usage_pct'],
  [/temp(?!late)|(^|[^a-z])t(air|amb)([^a-z]|$)|thermo/, 'temperature_c'],
  [/humid|(^|[^a-z])rh(um)?([^a-z]|$)/, 'humidity_pct'],
  [/pressure|barom|(^|[^a-z])pres(s)?([^a-z]|$)/, 'pressure_hpa'],
  [/vibrat/, 'vibration_mm_s'],
  [/energy|(^|[^a-z])k?wh([^a-z]|$)/, 'energy_wh'],
  [/power|watt|(^|[^a-z])kw([^a-z]|$)/, 'power_w'],
  [/volt/, 'voltage_v'],
  [/current|(^|[^a-z])amp(s|ere|eres)?([^a-z]|$)|intensity/, 'current_a'],
]

/** The metric that a column's, entity's or sensor's name speaks of; null for none. */
export function metricHint(name: string): string | null {
  const lower = name.toLowerCase()
  return HINTS.find(([pattern]) => pattern.test(lower))?.[1] ?? null
}

export const unitOf = (metric: string): string => METRICS.find(({ name }) => name === metric)?.unit ?? ''

/** The metrics that have this unit. */
export const metricsOf = (unit: string): string[] =>
  METRICS.filter((metric) => metric.unit === unit).map(({ name }) => name)

/** `*1000`, `*0.5556-17.78`, or nothing. */
export function factorText({ factor, offset }: Pick<Conversion, 'factor' | 'offset'>): string {
  if (factor === 1 && offset === 0) return ''
  return `*${factor}${offset === 0 ? '' : offset > 0 ? `+${offset}` : String(offset)}`
}
