// Every setting has a reader: one that nothing reads promises something that does not happen.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { SETTINGS } from '../platform/config.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DECLARATIONS = ['platform/config.ts']

/** The code itself, without comments and tests. */
const code = execFileSync('git', ['ls-files', '*.ts'], { cwd: ROOT, encoding: 'utf8' })
  .trim()
  .split('\n')
  .filter((path) => !/\.test(-support|-child)?\.ts$/.test(path) && !/^(test|sim|bench)\//.test(path))
  .filter((path) => !DECLARATIONS.includes(path))
  .map((path) => readFileSync(`${ROOT}/${path}`, 'utf8').replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, ''))
  .join('\n')

test.each(Object.keys(SETTINGS))('%s is read', (name) => {
  expect(new RegExp(`\\b${name}\\b`).test(code)).toBe(true)
})
