// The README's table of settings is generated from the list that checks them; here it is held to it.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { settingsTable } from '../platform/config.ts'

test('the table of settings in README.md is the one that the configuration makes', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  expect(readme).toContain(`<!-- settings -->\n${settingsTable()}\n<!-- /settings -->`)
})
