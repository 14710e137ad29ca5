import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeFile, makeFolder } from './folders.ts'

const folder = mkdtempSync(join(tmpdir(), 'plumbline-folders-'))
afterAll(() => rmSync(folder, { recursive: true }))
const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

describe('folders and files', () => {
  it('security 15: nobody else may read what is made, and what exists is left as it is', () => {
    const deep = join(folder, 'a', 'b')
    makeFolder(deep)
    makeFolder(deep)
    makeFile(join(deep, 'file'))
    expect([join(folder, 'a'), deep, join(deep, 'file')].map(modeOf)).toEqual(['700', '700', '600'])
    writeFileSync(join(deep, 'file'), 'kept')
    makeFile(join(deep, 'file'))
    expect(statSync(join(deep, 'file')).size).toBe(4)
  })

  it.each(['/proc/1/x/y', '/proc/self/x', '/dev/null/x'])(
    'security 14: %s cannot be made, and that is said at once',
    (path) => {
      expect(() => makeFolder(path)).toThrow(/^E[A-Z]+: .*'\//)
    },
  )

  it('security 14: a file where a folder should be is said so', () => {
    writeFileSync(join(folder, 'plain'), '')
    expect(() => makeFolder(join(folder, 'plain', 'below'))).toThrow('ENOTDIR')
  })
})
