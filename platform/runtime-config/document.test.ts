import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../test/fixtures/property.ts'
import { METRICS } from '../../schemas/metrics.ts'
import { FLEET_OPTIONS } from '../../producers/nodes/options.ts'
import { loadConfig, SETTINGS } from '../config.ts'
import { checkConfig, checkScopes, CONFIG_LIMITS, type Place, resolve, type RuntimeConfig, type Scopes } from './document.ts' // prettier-ignore
import { baseValues, RUNTIME_NAMES, runtimeSetting, type RuntimeName, type ScopeKind } from './settings.ts'

const base = baseValues(loadConfig({}))
const configOf = (scopes: Scopes): RuntimeConfig => ({ version: 1, at: 0, scopes })
const NASTY = ['..', '=1+1', '__proto__', 'constructor', 'a:b', 'ü'.repeat(128), 'x'.repeat(256), ' ', '"', '\n']

describe('the table of runtime settings (MI-5)', () => {
  test.each(RUNTIME_NAMES)('%s has the bounds of the variable that it overlays', (name) => {
    const { min, max, whole, base: variable } = runtimeSetting(name)
    const takes = (value: number): boolean =>
      variable === '--rate' ? isTaken(String(value)) : SETTINGS[variable].check.safeParse(String(value)).success
    expect([takes(min), takes(max)]).toEqual([true, true])
    expect([takes(min * (1 - 1e-9) - 1e-9), takes(max + 1)]).toEqual([false, false])
    expect(takes(min + 0.5)).toBe(!whole)
  })
})

function isTaken(rate: string): boolean {
  try {
    return FLEET_OPTIONS.rateHz.parse(rate) > 0
  } catch {
    return false
  }
}

describe('a document (MI-5)', () => {
  test.each(NASTY)('takes %j as the name of a site or a node', (id) => {
    const scopes = { [`node:${id}`]: { 'detector.z': 5 }, [`site:${id}`]: { 'detector.z': 4 } }
    expect(checkScopes(scopes, base)).toEqual(scopes)
    expect(resolve(configOf(checkScopes(scopes)), 'detector.z', { site: id })).toBe(4)
    expect(resolve(configOf(checkScopes(scopes)), 'detector.z', { node: id, site: id })).toBe(5)
  })

  test.each([
    ['no object', [], 'scopes'],
    ['null', null, 'scopes'],
    ['an unknown scope', { everything: {} }, 'everything'],
    ['a scope of an object’s prototype', JSON.parse('{"__proto__":{}}'), '__proto__'],
    ['a site without a name', { 'site:': {} }, 'site:'],
    ['a node of 257 bytes', { [`node:${'x'.repeat(257)}`]: {} }, 'node:'],
    ['a name of 257 bytes in 129 characters', { [`node:${'ü'.repeat(128)}x`]: {} }, 'node:'],
    ['half a character', { 'node:\ud800': {} }, 'node:'],
    ['an unknown metric', { 'detector:speed': {} }, 'detector:speed'],
    ['values that are no object', { fleet: 3 }, 'fleet'],
    ['an unknown name', { fleet: { 'detector.zz': 3 } }, 'fleet/detector.zz'],
    ['a name of an object’s prototype', { fleet: JSON.parse('{"constructor":3}') }, 'fleet/constructor'],
    ['a name that its scope does not allow', { 'site:a': { 'detector.window': 30 } }, 'site:a/detector.window'],
    ['a rate of a metric', { 'detector:power_w': { 'producer.rate_hz': 3 } }, 'detector:power_w/producer.rate_hz'],
    ['a text', { fleet: { 'detector.z': '3' } }, 'fleet/detector.z'],
    ['NaN', { fleet: { 'detector.z': NaN } }, 'fleet/detector.z'],
    ['infinity', { fleet: { 'detector.z': Infinity } }, 'fleet/detector.z'],
    ['too little', { fleet: { 'producer.rate_hz': 0 } }, 'fleet/producer.rate_hz'],
    ['too much', { fleet: { 'refine.gap_timeout_ms': 3_600_001 } }, 'fleet/refine.gap_timeout_ms'],
    ['half a sample', { fleet: { 'detector.window': 30.5 } }, 'fleet/detector.window'],
    ['more samples than the window has', { fleet: { 'detector.window': 20, 'detector.min_samples': 21 } }, 'fleet/detector.min_samples'],
    ['a window below the environment’s least samples', { fleet: { 'detector.window': 20 } }, 'fleet/detector.min_samples'],
    ['257 scopes', Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`node:${i}`, { 'detector.z': 3 }])), 'scopes'],
    ['64 KB and more', Object.fromEntries(Array.from({ length: 256 }, (_, i) => [`node:${String(i).padEnd(250, 'x')}`, { 'detector.z': 3 }])), 'scopes'],
  ])('with %s is refused, and the message names it', (_what, given, field) => {
    expect(() => checkScopes(given, base)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        field: expect.stringContaining(field.slice(0, 60)),
        message: expect.stringMatching(/^.{3,400}$/s),
      }),
    )
  }) // prettier-ignore

  test('of the greatest size is taken', () => {
    const scopes = Object.fromEntries(Array.from({ length: 256 }, (_, i) => [`node:${i}`, { 'detector.z': 3 }]))
    expect(Object.keys(checkScopes(scopes))).toHaveLength(CONFIG_LIMITS.scopes)
  })

  test('says nothing by an empty scope, and has one form however it was written', () => {
    const a = checkScopes({
      'site:b': { 'detector.z': 1, 'producer.rate_hz': 2 },
      fleet: {},
      'node:a': { 'detector.z': 3 },
    })
    const b = checkScopes({ 'node:a': { 'detector.z': 3 }, 'site:b': { 'producer.rate_hz': 2, 'detector.z': 1 } })
    expect(JSON.stringify(a)).toBe(JSON.stringify(b))
    expect(Object.keys(a)).toEqual(['node:a', 'site:b'])
  })

  test.each([0, -1, 1.5, 2 ** 45 + 1, NaN])('of version %s is refused', (version) => {
    expect(() => checkConfig({ version, at: 0, scopes: {} })).toThrow(expect.objectContaining({ field: 'version' }))
  })
})

describe('resolving (MI-5, MI-12)', () => {
  const kinds: ScopeKind[] = ['node', 'site', 'detector', 'fleet']
  const metric = METRICS[0].name
  const ids: Record<ScopeKind, string> = {
    node: 'node:n',
    site: 'site:s',
    detector: `detector:${metric}`,
    fleet: 'fleet',
  }
  const named = fc.constantFrom<RuntimeName>(...RUNTIME_NAMES)

  test('finds the most specific value: node, site, detector, fleet, whichever are set', () => {
    check(
      fc.property(named, fc.subarray(kinds), fc.subarray(['node', 'site', 'metric'] as const), (name, set, known) => {
        const { min, scopes: allowed } = runtimeSetting(name)
        const standing = set.filter((kind) => allowed.includes(kind))
        const value = (kind: ScopeKind): number => min + kinds.indexOf(kind)
        const scopes = checkScopes(Object.fromEntries(standing.map((kind) => [ids[kind], { [name]: value(kind) }])))
        const place: Place = Object.fromEntries(known.map((what) => [what, { node: 'n', site: 's', metric }[what]]))
        const knows: Record<ScopeKind, boolean> = {
          node: place.node !== undefined,
          site: place.site !== undefined,
          detector: place.metric !== undefined,
          fleet: true,
        }
        const winner = kinds.find((kind) => standing.includes(kind) && knows[kind])
        expect(resolve(configOf(scopes), name, place)).toBe(winner === undefined ? undefined : value(winner))
      }),
      300,
    )
  })

  test('nothing else than what was set is ever found', () => {
    check(
      fc.property(fc.string(), fc.string(), named, (node, site, name) => {
        expect(resolve(configOf({}), name, { node, site, metric: 'power_w' })).toBeUndefined()
      }),
    )
  })

  test('whatever is accepted is within the bounds, and is accepted again as it is', () => {
    const anything = fc.dictionary(
      fc.oneof(fc.constantFrom('fleet', 'site:a', 'node:b', 'detector:power_w'), fc.string()),
      fc.dictionary(
        fc.oneof(named, fc.string()),
        fc.oneof(fc.double(), fc.integer({ min: 1, max: 400 }), fc.anything()),
      ),
      { maxKeys: 4 },
    )
    let accepted = 0
    check(
      fc.property(anything, (given) => {
        let scopes: Scopes
        try {
          scopes = checkScopes(given)
        } catch (error) {
          expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
          return
        }
        accepted += 1
        for (const values of Object.values(scopes))
          for (const [name, value] of Object.entries(values)) {
            const { min, max } = runtimeSetting(name as RuntimeName)
            expect(value >= min && value <= max).toBe(true)
          }
        expect(checkScopes(JSON.parse(JSON.stringify(scopes)))).toEqual(scopes)
      }),
      500,
    )
    expect(accepted).toBeGreaterThan(0)
  })
})
