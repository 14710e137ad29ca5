import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { InputError } from '../../../platform/errors.ts'
import { settingsTable } from '../../../platform/config.ts'
import { fleetTables } from '../../../producers/nodes/options.ts'
import { replaceBetween } from './readme.ts'

it('the tables of settings and of the fleet’s options in docs/reference.md are those of the code (if not: make docs)', () => {
  const reference = readFileSync(new URL('../../../docs/reference.md', import.meta.url), 'utf8')
  expect(reference).toBe(replaceBetween(reference, 'settings', settingsTable()))
  expect(reference).toBe(replaceBetween(reference, 'fleet', fleetTables()))
})

it('only what is between the marks is replaced, again and again', () => {
  const once = replaceBetween('a\n<!-- t -->\nold\n<!-- /t -->\nb', 't', 'new')
  expect(once).toBe('a\n<!-- t -->\nnew\n<!-- /t -->\nb')
  expect(replaceBetween(once, 't', 'new')).toBe(once)
})

it('a file without the marks is refused', () => {
  expect(() => replaceBetween('no marks', 't', 'x')).toThrow(InputError)
})

it('the README is short: at most 1,500 words, the rest is in docs/', () => {
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
  expect(readme.split(/\s+/).length).toBeLessThanOrEqual(1_500)
})
