import { describe, expect, it } from 'vitest'
import { RUNTIME_NAMES } from '../../../platform/runtime-config/settings.ts'
import { parseName, parsePairs, renderApplied, renderScopes, renderSettings, withoutValues, withValues } from './edit.ts' // prettier-ignore

const SCOPES = { fleet: { 'detector.z': 4, 'producer.rate_hz': 5 }, 'site:a': { 'detector.z': 2 } }

describe('plumbline config (MI-5)', () => {
  it('reads pairs, and names what is none', () => {
    expect([...parsePairs(['detector.z=4', 'producer.rate_hz=0.5'])]).toEqual([
      ['detector.z', 4],
      ['producer.rate_hz', 0.5],
    ])
    for (const text of [
      'detector.z',
      'detector.z=',
      '=4',
      'detector.z=much',
      'detector.z=Infinity',
      'detector.z=1e999',
    ])
      expect(() => parsePairs([text]), text).toThrow(text)
    expect(() => parseName('constructor')).toThrow('there is no setting "constructor"')
  })

  it('changes one scope and leaves the others', () => {
    expect(withValues(SCOPES, 'site:a', new Map([['producer.rate_hz', 1]]))).toEqual({
      ...SCOPES,
      'site:a': { 'detector.z': 2, 'producer.rate_hz': 1 },
    })
    expect(withValues({}, 'node:__proto__', new Map([['detector.z', 1]]))).toEqual({ 'node:__proto__': { 'detector.z': 1 } }) // prettier-ignore
    expect(() => withValues(SCOPES, 'plant-1', new Map())).toThrow('a scope is fleet, site:NAME')
    expect(SCOPES['site:a']).toEqual({ 'detector.z': 2 })
  })

  it('takes values away, and a scope with its last one', () => {
    expect(withoutValues(SCOPES, 'fleet', ['detector.z'])).toEqual({ ...SCOPES, fleet: { 'producer.rate_hz': 5 } })
    expect(withoutValues(SCOPES, 'site:a', ['detector.z'])).toEqual({ fleet: SCOPES.fleet })
    expect(withoutValues(SCOPES, 'fleet', [])).toEqual({ 'site:a': SCOPES['site:a'] })
    expect(withoutValues(SCOPES, 'site:b', [])).toEqual(SCOPES)
  })

  it('shows what is set, and what can be', () => {
    expect(renderScopes({})).toContain('nothing is set')
    expect(renderScopes(SCOPES)).toMatch(/site:a +detector\.z +2$/)
    const settings = renderSettings(SCOPES)
    for (const name of RUNTIME_NAMES) expect(settings).toContain(name)
    expect(settings).toContain('fleet: 4; site:a: 2')
  })

  it('shows who has applied a version and who has not, by name as far as there is room', () => {
    const member = (i: number, version: number, refused: string | null = null) => ({
      node_id: `n${i}`,
      version,
      refused,
    })
    const applied = Array.from({ length: 12 }, (_, i) => member(i, 3))
    const text = renderApplied({ version: 3, at: 0, applied, pending: [member(90, 2), member(91, 2, 'too old')] })
    expect(text).toBe(
      `version 3, of 1970-01-01T00:00:00.000Z\napplied by 12 members: ${applied.slice(0, 10).map(({ node_id }) => node_id).join(', ')}, …\npending: n90 at 2, n91 at 2 (refused: too old)`,
    ) // prettier-ignore
    expect(renderApplied({ version: 0, at: 0, applied: [], pending: [] })).toBe('version 0\napplied by nobody')
  })

  it('lets no name of a site or node make a line of its own, nor steer the terminal', () => {
    const scope = 'site:a\n\u001b[31mfleet\tdetector.z'
    const member = { node_id: scope, version: 1, refused: 'for\nged' }
    const shown = [
      renderScopes({ [scope]: { 'detector.z': 3 } }),
      renderSettings({ [scope]: { 'detector.z': 3 } }),
      renderApplied({ version: 2, at: 0, applied: [member], pending: [member] }),
    ]
    const safe = 'site:a\\n\\u001b[31mfleet\\tdetector.z'
    for (const text of shown) expect(text.split('\n').filter((line) => line.includes(safe)).length).toBeGreaterThan(0)
    expect(shown.join('')).not.toContain(scope)
    expect(shown[2].split('\n')).toHaveLength(3)
  })
})
