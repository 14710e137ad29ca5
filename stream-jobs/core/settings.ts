// The settings of refine's core. They are part of its state: a change reaches it as a control record in its input,
// never from outside, or a replay would not repeat what happened.
import { InputError } from '../../platform/errors.ts'

export interface CoreSettings {
  /** How long an early reading waits for the missing ones, ms of arrival time. */
  readonly gapTimeoutMs: number
  /** Early readings kept per lane. */
  readonly gapBuffer: number
  /** How long a reading without seq is held back, ms of arrival time. */
  readonly holdBackMs: number
  readonly holdBackBuffer: number
  /** How far event time may be ahead of arrival time, ms. */
  readonly futureMs: number
  /** Samples that the z-score looks back on. */
  readonly window: number
  /** Samples before the first z-score. */
  readonly minSamples: number
  /** Absolute z-score that makes an anomaly. */
  readonly z: number
}

interface Bounds {
  readonly min: number
  readonly max: number
  readonly whole: boolean
}

const whole = (min: number, max: number): Bounds => ({ min, max, whole: true })

/** As platform/config.ts has them: a record can bring settings, too, and must not make buffers or windows without bound. */
const BOUNDS: Readonly<Record<keyof CoreSettings, Bounds>> = {
  gapTimeoutMs: whole(1, 3_600_000),
  gapBuffer: whole(1, 65_536),
  holdBackMs: whole(1, 3_600_000),
  holdBackBuffer: whole(1, 65_536),
  futureMs: whole(0, 86_400_000),
  window: whole(2, 100_000),
  minSamples: whole(2, 100_000),
  z: { min: 0.1, max: 1_000, whole: false },
}

const NAMES = Object.keys(BOUNDS) as (keyof CoreSettings)[]

/** One text for equal settings, so that texts can be compared. */
export const settingsText = (settings: CoreSettings): string => JSON.stringify(settings, NAMES)

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
  const settings = Object.fromEntries(NAMES.map((name) => [name, expectWithin(name, parsed?.[name])]))
  return Object.freeze(settings as unknown as CoreSettings)
}

function expectWithin(name: keyof CoreSettings, value: unknown): number {
  const { min, max, whole: isWhole } = BOUNDS[name]
  if (typeof value === 'number' && value >= min && value <= max && (!isWhole || Number.isInteger(value))) return value
  throw new InputError('SETTINGS', name, `${name} must be a ${isWhole ? 'whole ' : ''}number from ${min} to ${max}`)
}
