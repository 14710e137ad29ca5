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

const NAMES = ['gapTimeoutMs', 'gapBuffer', 'holdBackMs', 'holdBackBuffer', 'futureMs', 'window', 'minSamples', 'z'] as const

/** One text for equal settings, so that texts can be compared. */
export const settingsText = (settings: CoreSettings): string => JSON.stringify(settings, [...NAMES])

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
  for (const name of NAMES) {
    const value = parsed?.[name]
    if (typeof value !== 'number' || !(value >= 0)) throw new InputError('SETTINGS', name, `${name} must be a number of at least 0`)
  }
  return Object.freeze(parsed as unknown as CoreSettings)
}
