// Each mistake is made for real where that is possible: the shape of the system's errors is what is tested.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, describe, expect, test } from 'vitest'
import { ConfigError } from './errors.ts'
import { operatorMessage } from './operator-error.ts'

const folder = mkdtempSync(join(tmpdir(), 'plumbline-operator-'))
const file = join(folder, 'file')
writeFileSync(file, 'text')
afterAll(() => rmSync(folder, { recursive: true }))

function thrownBy(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

const systemError = (code: string, path?: string): Error => Object.assign(new Error(`${code}: failed`), { code, path })

describe('security 13: an operator’s mistake is one line that says what to do', () => {
  test.each([
    [
      'DATA_DIR below a file',
      thrownBy(() => mkdirSync(join(file, 'kafka'), { recursive: true })),
      /is a file, not a folder/,
    ],
    ['DATA_DIR is a file', thrownBy(() => mkdirSync(file, { recursive: true })), /not a folder: check DATA_DIR/],
    ['a folder in place of a file', thrownBy(() => readFileSync(folder)), /it is a folder/],
    ['a missing file', thrownBy(() => readFileSync(join(folder, 'none'))), /none: there is no such file/],
    ['a store below a file', thrownBy(() => new DatabaseSync(join(file, 'store.sqlite'))), /cannot be opened/],
    [
      'a store that is no database',
      thrownBy(() => new DatabaseSync(file).exec('SELECT * FROM t')),
      /not a SQLite file/,
    ],
    ['a full disk', systemError('ENOSPC'), /disk is full/],
    ['a forbidden path', systemError('EACCES', '/root/x'), /^\/root\/x: no permission/],
    ['a malformed CSV', systemError('CSV_INCONSISTENT_COLUMNS'), /^the CSV is malformed/],
    ['one that another error wraps', new Error('writing failed', { cause: systemError('EROFS') }), /read-only/],
    ['a configuration', new ConfigError('X is wrong'), /^X is wrong$/],
  ])('%s', (_, error, expected) => {
    const message = operatorMessage(error)
    expect(message).toMatch(expected)
    expect(message).not.toMatch(/\n/)
  })

  test.each([[new TypeError('x is undefined')], [systemError('ERR_INVALID_ARG_TYPE')], ['text'], [null]])(
    'a mistake of ours keeps its stack: %s',
    (error) => {
      expect(operatorMessage(error)).toBeNull()
    },
  )
})
