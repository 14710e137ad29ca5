// The simulated fleet, and the faults that it injects (MI-6), as options of a command line: of the producers' process, and
// of `plumbline up`, which passes them on. They are no settings: nothing in them concerns readings from outside, and a
// process in production has no variable that could drop its sends. Drops and clock steps concern simulated nodes; delay
// and outage all sends of the process.
import { InvalidArgumentError, Option } from 'commander'
import { BOUNDS } from '../../platform/bounds.ts'
import { durationMs } from '../../platform/duration.ts'
import type { SamplerOptions } from './core/sampler.ts'

interface FleetOption {
  /** As commander takes it. */
  readonly flag: string
  readonly parse: (text: string) => number
  /** What the number counts; a duration is passed on with it. */
  readonly unit: '' | 'ms'
  readonly default: number
  readonly doc: string
}

const expected = (ok: boolean, what: string): void => {
  if (!ok) throw new InvalidArgumentError(`expected ${what}`)
}

const number = (
  flag: string,
  min: number,
  max: number,
  fallback: number,
  doc: string,
  isWhole = false,
): FleetOption => ({
  flag,
  parse: (text) => {
    const value = text.trim() === '' ? NaN : Number(text)
    const isFit = value >= min && value <= max && (!isWhole || Number.isInteger(value))
    expected(isFit, `a ${isWhole ? 'whole ' : ''}number from ${min} to ${max}`)
    return value
  },
  unit: '',
  default: fallback,
  doc,
})
const whole = (flag: string, min: number, max: number, fallback: number, doc: string): FleetOption =>
  number(flag, min, max, fallback, doc, true)

const duration = (flag: string, minMs: number, maxMs: number, fallback: number, doc: string): FleetOption => ({
  flag,
  parse: (text) => {
    const ms = text.startsWith('-') ? -durationMs(text.slice(1)) : durationMs(text)
    expected(
      Number.isInteger(ms) && ms >= minMs && ms <= maxMs,
      `a duration from ${minMs}ms to ${maxMs}ms, such as 10s`,
    )
    return ms
  },
  unit: 'ms',
  default: fallback,
  doc,
})

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

export const FLEET_OPTIONS = {
  nodes: whole('--nodes <n>', 0, 10_000, 0, 'simulated nodes'),
  sensors: whole('--sensors <n>', 1, 1_000_000, 200, 'simulated sensors, shared among the nodes'),
  rateHz: number('--rate <hz>', BOUNDS.rateHz.min, BOUNDS.rateHz.max, 10, 'samples per sensor and second'),
  seed: whole('--seed <n>', 0, 2 ** 31 - 1, 1, 'of the fleet and its faults: the same seed gives the same readings'),
  outOfOrder: number('--out-of-order <share>', 0, 0.5, 0.02, 'of the readings, sent late, out of order'),
  duplicates: number('--duplicates <share>', 0, 0.5, 0.007, 'of the readings, sent twice'),
  anomalies: number('--anomalies <share>', 0, 0.1, 0.0005, 'of the readings, replaced by an outlier'),
  burstFactor: number('--burst-factor <x>', 1, 100, 1, 'rate during a burst, as a multiple; 1: no bursts'),
  burstMs: duration('--burst-length <duration>', 1, HOUR_MS, 10_000, 'of a burst'),
  burstEveryMs: duration('--burst-every <duration>', 1, DAY_MS, 60_000, 'from the start of a burst to the next'),
} satisfies Record<string, FleetOption>

export const FAULT_OPTIONS = {
  dropProbability: number('--fault-drop <probability>', 0, 1, 0, 'that a send of a node is dropped'),
  ackDelayMs: duration('--fault-ack-delay <duration>', 0, 60_000, 0, 'added to every acknowledgement'),
  outageMs: duration('--fault-outage <duration>', 0, DAY_MS, 0, 'for which the broker is out of reach; 0s: never'),
  outageAtMs: duration('--fault-outage-at <duration>', 0, DAY_MS, 10_000, 'from the start to that outage'),
  clockStepMs: duration(
    '--fault-clock-step <duration>',
    -HOUR_MS,
    HOUR_MS,
    0,
    'step of the nodes’ wall clocks after 10 s',
  ),
} satisfies Record<string, FleetOption>

const ALL: Readonly<Record<keyof FleetSettings, FleetOption>> = { ...FLEET_OPTIONS, ...FAULT_OPTIONS }
const NAMES = Object.keys(ALL) as (keyof FleetSettings)[]

export type FleetSettings = Readonly<Record<keyof typeof FLEET_OPTIONS | keyof typeof FAULT_OPTIONS, number>>

/** What `up`, the demonstration and the benchmarks start. */
export const DEFAULT_NODES = 20

/** A value as it would be given: 0.02, 10s, -500ms. */
const written = (value: number, { unit }: FleetOption): string =>
  unit === 'ms' && value % 1_000 === 0 ? `${value / 1_000}s` : `${value}${unit}`

const attributeOf = ({ flag }: FleetOption): string => new Option(flag).attributeName()

/** The options for commander, the fleet's or the faults'. */
export const commanderOptions = (table: Readonly<Record<string, FleetOption>>): Option[] =>
  Object.values(table).map((option) =>
    new Option(option.flag, `${option.doc} (default: ${written(option.default, option)})`).argParser(option.parse),
  )

/** @param flags what commander has parsed; options that were not given have their defaults */
export const fleetOf = (flags: Readonly<Record<string, unknown>>): FleetSettings =>
  Object.fromEntries(
    NAMES.map((name) => [name, flags[attributeOf(ALL[name])] ?? ALL[name].default]),
  ) as unknown as FleetSettings

/** With defaults for what is not given. */
export const fleetWith = (given: Partial<FleetSettings>): FleetSettings => ({ ...fleetOf({}), ...given })

/** The command line that gives a process of the producers these settings. */
export const fleetArguments = (fleet: FleetSettings): string[] =>
  NAMES.map((name) => `--${new Option(ALL[name].flag).name()}=${written(fleet[name], ALL[name])}`)

/** The tables of docs/reference.md: the fleet, then its faults. */
export const fleetTables = (): string =>
  [tableOf(FLEET_OPTIONS), 'Faults that the fleet injects:', tableOf(FAULT_OPTIONS)].join('\n\n')

const tableOf = (table: Readonly<Record<string, FleetOption>>): string =>
  [
    '| option | default | meaning |',
    '|---|---|---|',
    ...Object.values(table).map(
      (option) => `| \`${option.flag}\` | \`${written(option.default, option)}\` | ${option.doc} |`,
    ),
  ].join('\n')

export const samplerOptions = (fleet: FleetSettings, sensors: number): SamplerOptions => ({
  sensors,
  rateHz: fleet.rateHz,
  bursts: { factor: fleet.burstFactor, lengthMs: fleet.burstMs, everyMs: fleet.burstEveryMs },
})
