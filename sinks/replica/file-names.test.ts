// Any name must become one file of its own on any file system, below the replica's folder and nowhere else.
import { basename, normalize } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../test/fixtures/property.ts'
import { isOurs, latePath, orderPath, partitionOfPath, safeName } from './file-names.ts'

const HOSTILE = [
  '..',
  '.',
  '/',
  '../../etc/passwd',
  'a/b',
  'a\\b',
  'a\0b',
  '',
  ' ',
  'CON',
  'nul',
  'com1.txt',
  'late',
  'tenant=x',
  '=1+1',
  '~',
  'replica.json',
  'A',
  'a',
  'ä',
  'a\u0308',
  'x'.repeat(200),
  '漢'.repeat(200),
  'a.',
  'a ',
] as const
const anyName = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.string({ unit: 'binary', maxLength: 250 }),
  fc.stringMatching(/^[A-Za-z0-9._~=/-]{1,12}$/),
)
/** As the least discerning file system compares names. */
const folded = (path: string): string =>
  path
    .normalize('NFD')
    .toLowerCase()
    .replace(/[. ]+$/, '')

describe('file names of a replica (DS-4)', () => {
  test('ordinary names stay as they are', () => {
    expect(orderPath('default', 'climate-0001')).toBe('climate-0001.csv')
    expect(orderPath('acme', 'climate-0001')).toBe('tenant=acme/climate-0001.csv')
    expect(latePath(3, 'acme', 's_1.x')).toBe('late/3/tenant=acme/s_1.x.csv')
    expect(safeName('x'.repeat(200))).toBe('x'.repeat(200))
  })

  test('a name never leaves the folder, is never hidden, and fits a file name of 255 bytes', () => {
    check(
      fc.property(anyName, anyName, (tenant, sensor) => {
        for (const path of [orderPath(tenant, sensor), latePath(0, tenant, sensor)]) {
          expect(normalize(path)).toBe(path)
          for (const part of path.split('/')) {
            expect(part).toMatch(/^[a-z0-9_~-][a-z0-9._~=-]*$/)
            expect(Buffer.byteLength(part)).toBeLessThan(255)
            expect(part).not.toMatch(/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/)
          }
          expect(isOurs(path.split('/')[0])).toBe(true)
        }
        expect(partitionOfPath(orderPath(tenant, sensor))).toBe(null)
        expect(partitionOfPath(latePath(7, tenant, sensor))).toBe(7)
      }),
      1_000,
    )
  })

  test('two sensors never share a file, not where case or the form of accents does not count', () => {
    check(
      fc.property(anyName, anyName, anyName, anyName, (tenant, sensor, otherTenant, otherSensor) => {
        fc.pre(tenant !== otherTenant || sensor !== otherSensor)
        expect(folded(orderPath(tenant, sensor))).not.toBe(folded(orderPath(otherTenant, otherSensor)))
      }),
      2_000,
    )
    const paths = HOSTILE.map((name) => folded(orderPath('default', name)))
    expect(new Set(paths).size).toBe(HOSTILE.length)
  })

  test('the state of the replica and what else is there are not taken for rows', () => {
    expect(['replica.json', 'replica.json.new', 'notes.txt', '.git'].filter(isOurs)).toEqual([])
    expect(basename(orderPath('default', 'replica.json'))).toBe('replica.json.csv')
  })
})
