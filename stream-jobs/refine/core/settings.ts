// The settings of refine's core. They are part of its state: a change reaches it as a control record in its input,
// never from outside, or a replay would not repeat what happened. They are the environment's values overlaid by one
// version of the runtime configuration; a threshold may differ by site, by node and by metric.
import { BOUNDS, type Bounds } from '../../../platform/bounds.ts'
import { TS_MS_MAX, TS_MS_MIN } from '../../../platform/codec/identity.ts'
import { InputError } from '../../../platform/errors.ts'
import { CONFIG_LIMITS } from '../../../platform/runtime-config/document.ts'

/** What differs from the fleet's threshold: names and thresholds, in order of the names, each name once. */
export type Overrides = readonly (readonly [name: string, z: number])[]

interface Numbers {
  /** How long an early reading waits for the missing ones, ms of arrival time. */
  readonly gapTimeoutMs: number
  /** Early readings kept per lane. */
  readonly gapBuffer: number
  /** How long a reading without seq is held back, ms of arrival time. */
  readonly holdBackMs: number
  readonly holdBackBuffer: number
  /** How far event time may be ahead of arrival time, ms. */
  readonly futureMs: number
  /** How far it may be ahead without a doubt about the sensor's clock, ms. */
  readonly aheadMs: number
  /** Event times before this one are refused, ms since 1970. */
  readonly earliestMs: number
  /** Of raw: determines a key's partition; 0: not known. */
  readonly partitions: number
  /** Samples that the z-score looks back on. */
  readonly window: number
  /** Samples before the first z-score. */
  readonly minSamples: number
  /** Absolute z-score that makes an anomaly, unless something more specific is set. */
  readonly z: number
  /** Of the runtime configuration; 0: none was ever set. Settings never give way to those of an older version. */
  readonly version: number
}

export interface CoreSettings extends Numbers {
  readonly zByNode: Overrides
  readonly zBySite: Overrides
  readonly zByMetric: Overrides
}

const whole = (min: number, max: number): Bounds => ({ min, max, whole: true })

/** Records bring settings, too, and must not make buffers or windows unbounded. */
const NUMBER_BOUNDS: Readonly<Record<keyof Numbers, Bounds>> = {
  gapTimeoutMs: BOUNDS.gapTimeoutMs,
  gapBuffer: BOUNDS.gapBuffer,
  holdBackMs: BOUNDS.holdBackMs,
  holdBackBuffer: BOUNDS.holdBackBuffer,
  futureMs: BOUNDS.futureMs,
  aheadMs: BOUNDS.aheadMs,
  earliestMs: whole(TS_MS_MIN, TS_MS_MAX),
  partitions: whole(0, 1_000_000),
  window: BOUNDS.window,
  minSamples: BOUNDS.minSamples,
  z: BOUNDS.z,
  version: whole(0, Number.MAX_SAFE_INTEGER),
}
/** As many scopes as a configuration may have, and their longest names. */
const OVERRIDES_MAX = CONFIG_LIMITS.scopes
const NAME_CHARS_MAX = CONFIG_LIMITS.idBytes

const NUMBERS = Object.keys(NUMBER_BOUNDS) as (keyof Numbers)[]
const OVERRIDES = ['zByNode', 'zBySite', 'zByMetric'] as const
/** Defaults for settings that were written before these existed. */
const BEFORE = { version: 0, aheadMs: 86_400_000, earliestMs: TS_MS_MIN, partitions: 0 }

/** One text for equal settings, so that texts can be compared. */
export const settingsText = (settings: CoreSettings): string =>
  JSON.stringify(Object.fromEntries([...NUMBERS, ...OVERRIDES].map((name) => [name, settings[name]])))

/**
 * @throws InputError when the text is not a complete set of settings
 */
export function parseSettings(text: string): CoreSettings {
  let parsed: Record<string, unknown>
  try {
    parsed = JSON.parse(text) as Record<string, unknown>
  } catch {
    throw new InputError('SETTINGS', 'settings', 'the settings are not JSON')
  }
  const given = { ...BEFORE, ...parsed }
  const numbers = NUMBERS.map((name) => [
    name,
    expectWithin(name, NUMBER_BOUNDS[name], given[name as keyof typeof given]),
  ])
  const overrides = OVERRIDES.map((name) => [name, expectOverrides(name, parsed?.[name] ?? [])])
  return Object.freeze(Object.fromEntries([...numbers, ...overrides]) as CoreSettings)
}

function expectWithin(name: string, { min, max, whole: isWhole }: Bounds, value: unknown): number {
  if (typeof value === 'number' && value >= min && value <= max && (!isWhole || Number.isInteger(value))) return value
  throw new InputError('SETTINGS', name, `${name} must be a ${isWhole ? 'whole ' : ''}number from ${min} to ${max}`)
}

function expectOverrides(field: string, value: unknown): Overrides {
  if (!Array.isArray(value) || value.length > OVERRIDES_MAX)
    throw new InputError('SETTINGS', field, `${field} must be a list of at most ${OVERRIDES_MAX} names with thresholds`)
  let former = ''
  return value.map((entry: unknown) => {
    const [name, z] = Array.isArray(entry) ? (entry as unknown[]) : []
    if (typeof name !== 'string' || name.length > NAME_CHARS_MAX || !(name > former))
      throw new InputError('SETTINGS', field, `${field} must have names of 1 to ${NAME_CHARS_MAX} characters, in order`)
    former = name
    return [name, expectWithin(field, BOUNDS.z, z)] as const
  })
}
