import { describe, expect, it } from 'vitest'
import { LostUpdate } from '../../platform/runtime-config/writer.ts'
import { lostUpdateDetail, scopesOf, versionOf } from './config-request.ts'

describe('a request about the configuration (MI-5)', () => {
  it.each([
    ['"7"', 7],
    ['7', 7],
    [' "0" ', 0],
    ['*', null],
    [undefined, undefined],
  ])('names by If-Match %j the version %j', (header, version) => {
    expect(versionOf(header)).toBe(version)
  })

  it.each(['', '"', 'W/"7"', '"7", "8"', '-1', '1e3', '"x"', '1'.repeat(16)])('has no If-Match %j', (header) => {
    expect(() => versionOf(header)).toThrow(expect.objectContaining({ field: 'If-Match' }))
  })

  it('takes no member that would be ignored', () => {
    expect(() => scopesOf({ scopes: {}, version: 3 })).toThrow(expect.objectContaining({ field: 'version' }))
    expect(scopesOf({ scopes: { fleet: {} } })).toEqual({ fleet: {} })
  })

  it.each([null, undefined, [], 'scopes', 7, {}])('needs scopes: %j is refused', (body) => {
    expect(() => scopesOf(body)).toThrow(expect.objectContaining({ field: 'scopes' }))
  })

  it('is told why it was made from an old version, and what to do where the newest is refused here', () => {
    const lost = new LostUpdate(8, 'the change was made from version 7')
    const config = { version: 7, at: 0, scopes: {} }
    expect(lostUpdateDetail(lost, { config, refused: null })).toContain('the current version is 8')
    expect(lostUpdateDetail(lost, { config: { ...config, version: 8 }, refused: 'garbage' })).toBe(lost.message)
    const detail = lostUpdateDetail(lost, { config, refused: 'fleet/detector.min_samples: 30 exceeds 20' })
    expect(detail).toMatch(/version 8 .* 30 exceeds 20.*If-Match: \*/)
  })
})
