// The configuration as a document: scope, then name, then value, the whole of it at one version. It is checked as a
// whole before anything of it is written and again before anything of it is applied, so that no part of an unacceptable
// version ever acts. Of several scopes the more specific wins: node, then site, then a metric's detector, then fleet.
import { InputError } from '../errors.ts'
import { METRICS } from '../../schemas/metrics.ts'
import { RUNTIME_NAMES, RUNTIME_SETTINGS, runtimeSetting, type BaseValues, type RuntimeName, type ScopeKind } from './settings.ts' // prettier-ignore

export type ScopeValues = Readonly<Partial<Record<RuntimeName, number>>>
export type Scopes = Readonly<Record<string, ScopeValues>>

export interface RuntimeConfig {
  /** 0: nothing was ever set. */
  readonly version: number
  /** Wall time of the change, ms. */
  readonly at: number
  readonly scopes: Scopes
}

export const NOTHING_SET: RuntimeConfig = Object.freeze({ version: 0, at: 0, scopes: Object.freeze({}) })

export const CONFIG_LIMITS = {
  scopes: 256,
  /** Of the scopes as JSON. */
  bytes: 65_536,
  /** Of a site's or a node's name, as in readings. */
  idBytes: 256,
  /** Room for a version every millisecond for a thousand years. */
  version: 2 ** 45,
} as const

const METRIC_NAMES = new Set(METRICS.map(({ name }) => name))
const utf8 = new TextEncoder()

/** What a scope applies to. */
export interface ScopeRef {
  readonly kind: ScopeKind
  /** Empty for the fleet. */
  readonly id: string
}

/** @throws InputError naming the scope and what a scope may be */
export function parseScope(scope: string): ScopeRef {
  if (scope === 'fleet') return { kind: 'fleet', id: '' }
  const at = scope.indexOf(':')
  const kind = scope.slice(0, Math.max(0, at))
  const id = scope.slice(at + 1)
  switch (kind) {
    case 'site':
    case 'node': {
      const bytes = utf8.encode(id).length
      if (bytes >= 1 && bytes <= CONFIG_LIMITS.idBytes && id.isWellFormed()) return { kind, id }
      throw refusal(scope, `the name of a ${kind} must have from 1 to ${CONFIG_LIMITS.idBytes} bytes`)
    }
    case 'detector':
      if (METRIC_NAMES.has(id)) return { kind, id }
      throw refusal(scope, `there is no metric ${quoted(id)}; there are ${[...METRIC_NAMES].join(', ')}`)
    default:
      throw refusal(scope, 'a scope is fleet, site:NAME, node:NAME or detector:METRIC')
  }
}

/**
 * Checks the scopes of a whole document.
 * @param given anything; what is taken is a copy
 * @param base where given, values that depend on each other are checked with it, too
 * @throws InputError CONFIG_INVALID naming scope and name, and the limit
 */
export function checkScopes(given: unknown, base?: BaseValues): Scopes {
  if (!isRecord(given)) throw refusal('scopes', 'expected an object of scopes')
  const entries = Object.entries(given)
  if (entries.length > CONFIG_LIMITS.scopes)
    throw refusal('scopes', `there are ${entries.length} scopes; the limit is ${CONFIG_LIMITS.scopes}`)
  const scopes: Record<string, ScopeValues> = {}
  for (const [scope, values] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { kind } = parseScope(scope)
    const checked = checkValues(scope, kind, values)
    // A scope without values has no effect, so it is not kept.
    if (Object.keys(checked).length > 0) scopes[scope] = checked
  }
  const bytes = utf8.encode(JSON.stringify(scopes)).length
  if (bytes > CONFIG_LIMITS.bytes)
    throw refusal('scopes', `the configuration has ${bytes} bytes; the limit is ${CONFIG_LIMITS.bytes}`)
  checkTogether(scopes, base)
  return Object.freeze(scopes)
}

/**
 * Checks a version as it is in the topic.
 * @throws InputError CONFIG_INVALID
 */
export function checkConfig(given: RuntimeConfig, base?: BaseValues): RuntimeConfig {
  const { version, at } = given
  if (!Number.isInteger(version) || version < 1 || version > CONFIG_LIMITS.version)
    throw refusal('version', `version is ${version}; it must be a whole number from 1 to 2^45`)
  return Object.freeze({ version, at, scopes: checkScopes(given.scopes, base) })
}

/** For whom a value is looked up; what is not known is left out. */
export interface Place {
  readonly node?: string
  readonly site?: string
  readonly metric?: string
}

/** The value in force: node before site before detector before fleet; undefined where none of them sets it. */
export function resolve(
  { scopes }: RuntimeConfig,
  name: RuntimeName,
  { node, site, metric }: Place,
): number | undefined {
  const at = (kind: ScopeKind, id: string | undefined): number | undefined =>
    id === undefined ? undefined : scopes[`${kind}:${id}`]?.[name]
  return at('node', node) ?? at('site', site) ?? at('detector', metric) ?? scopes.fleet?.[name]
}

/** Whether two documents are equal. Checked scopes are sorted, so their texts can be compared. */
export const sameScopes = (a: Scopes, b: Scopes): boolean => JSON.stringify(a) === JSON.stringify(b)

function checkValues(scope: string, kind: ScopeKind, given: unknown): ScopeValues {
  if (!isRecord(given)) throw refusal(scope, 'expected an object of names and values')
  for (const name of Object.keys(given))
    if (!Object.hasOwn(RUNTIME_SETTINGS, name))
      throw refusal(`${scope}/${name}`, `there is no setting of this name; there are ${RUNTIME_NAMES.join(', ')}`)
  // In the table's order, so that equal documents have equal texts.
  const names = RUNTIME_NAMES.filter((name) => Object.hasOwn(given, name))
  return Object.freeze(Object.fromEntries(names.map((name) => [name, checkValue(scope, kind, name, given[name])])))
}

function checkValue(scope: string, kind: ScopeKind, name: RuntimeName, value: unknown): number {
  const { min, max, whole, scopes } = runtimeSetting(name)
  if (!scopes.includes(kind)) throw refusal(`${scope}/${name}`, `it may be set in ${scopes.join(', ')} only`)
  if (typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value))) return value
  throw refusal(`${scope}/${name}`, `${quoted(value)} is not a ${whole ? 'whole ' : ''}number from ${min} to ${max}`)
}

/** A detector that needs more samples than it keeps would never fire: surely a mistake. */
function checkTogether({ fleet = {} }: Scopes, base: BaseValues | undefined): void {
  const window = fleet['detector.window'] ?? base?.['detector.window'] ?? Infinity
  const minSamples = fleet['detector.min_samples'] ?? base?.['detector.min_samples'] ?? 0
  if (minSamples > window)
    throw refusal('fleet/detector.min_samples', `${minSamples} exceeds detector.window, which is ${window}`)
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A name as it is shown in a message: short, and with unprintable characters escaped. */
const SHOWN_MAX = 80
const quoted = (value: unknown): string => (JSON.stringify(value) ?? String(value)).slice(0, SHOWN_MAX)

function refusal(field: string, message: string): InputError {
  const shown = field.slice(0, SHOWN_MAX)
  return new InputError('CONFIG_INVALID', shown, `${shown}: ${message}`)
}
