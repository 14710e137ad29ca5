// The settings that can be changed at run time (MI-5): each with its bounds, the kinds of scope in which it may be set,
// and what it means, in one table, from which they are checked, resolved, listed and documented. A setting that is not in
// the table cannot be set. Bounds are those of the environment variables that say
// the same (platform/bounds.ts).
import { BOUNDS, type Bounds } from '../bounds.ts'
import type { Config, SettingName } from '../config.ts'

/** What a value may be set for: everything, a site, a node, one metric's detector. */
export type ScopeKind = 'fleet' | 'site' | 'node' | 'detector'

export interface RuntimeSetting extends Bounds {
  readonly scopes: readonly ScopeKind[]
  /** What applies where the configuration sets none: a variable, or the option of the simulated fleet. */
  readonly base: SettingName | '--rate'
  readonly doc: string
}

export const RUNTIME_SETTINGS = {
  'producer.rate_hz': {
    ...BOUNDS.rateHz,
    scopes: ['fleet', 'site', 'node'],
    base: '--rate',
    doc: 'Samples per sensor and second of simulated nodes. A node has one rate; its site is that of its first sensor.',
  },
  'detector.z': {
    ...BOUNDS.z,
    scopes: ['fleet', 'detector', 'site', 'node'],
    base: 'DETECTOR_Z',
    doc: 'Absolute z-score that makes an anomaly.',
  },
  'detector.window': {
    ...BOUNDS.window,
    scopes: ['fleet'],
    base: 'DETECTOR_WINDOW',
    doc: 'Samples per metric that the z-score is computed from.',
  },
  'detector.min_samples': {
    ...BOUNDS.minSamples,
    scopes: ['fleet'],
    base: 'DETECTOR_MIN_SAMPLES',
    doc: 'Samples before the first z-score; at most detector.window.',
  },
  'refine.gap_timeout_ms': {
    ...BOUNDS.gapTimeoutMs,
    scopes: ['fleet'],
    base: 'REFINE_GAP_TIMEOUT_MS',
    doc: 'How long an early reading waits for the missing ones, ms of arrival time.',
  },
  'refine.hold_back_ms': {
    ...BOUNDS.holdBackMs,
    scopes: ['fleet'],
    base: 'REFINE_HOLD_BACK_MS',
    doc: 'How long a reading without seq is held back to be sorted, ms of arrival time.',
  },
} as const satisfies Record<string, RuntimeSetting>

export type RuntimeName = keyof typeof RUNTIME_SETTINGS

export const RUNTIME_NAMES = Object.keys(RUNTIME_SETTINGS) as RuntimeName[]

/** The setting's entry, with the common type. */
export const runtimeSetting = (name: RuntimeName): RuntimeSetting => RUNTIME_SETTINGS[name]

/** What applies where the configuration sets nothing, of the settings that depend on each other. */
export type BaseValues = Readonly<Record<'detector.window' | 'detector.min_samples', number>>

export const baseValues = (config: Pick<Config, 'DETECTOR_WINDOW' | 'DETECTOR_MIN_SAMPLES'>): BaseValues => ({
  'detector.window': config.DETECTOR_WINDOW,
  'detector.min_samples': config.DETECTOR_MIN_SAMPLES,
})
