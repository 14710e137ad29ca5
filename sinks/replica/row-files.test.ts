// A disk that fails in the middle of writing: part of the rows may be in the files, so nothing may be written after it,
// and above all no checkpoint that calls these rows sure.
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RowFiles } from './row-files.ts'
import { emptyState, readState } from './state.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'plumbline-rows-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const breathe = (): Promise<void> => Promise.resolve()

describe('row files after an error of the disk (DS-4)', () => {
  test('rows that may be in a file already are not written again, and no checkpoint follows', async () => {
    const files = new RowFiles(dir)
    mkdirSync(join(dir, 'b.csv'))
    files.add('a.csv', 'h\n', '1\n')
    files.add('b.csv', 'h\n', '2\n')
    expect(() => files.flush()).toThrow(/EISDIR/)
    rmdirSync(join(dir, 'b.csv'))
    expect(() => files.flush()).toThrow(/could not be written/)
    await expect(files.commit(emptyState('r1'), breathe)).rejects.toMatchObject({ code: 'WRITE_FAILED' })
    expect(readFileSync(join(dir, 'a.csv'), 'utf8')).toBe('h\n1\n')
    expect(readState(dir)).toBeNull()
    files.close()
  })

  test('after a checkpoint that failed there is no other one: what it was to make sure may be lost', async () => {
    const files = new RowFiles(dir)
    mkdirSync(join(dir, 'replica.json'))
    files.add('a.csv', 'h\n', '1\n')
    await expect(files.commit(emptyState('r1'), breathe)).rejects.toThrow(/replica\.json/)
    rmdirSync(join(dir, 'replica.json'))
    await expect(files.commit(emptyState('r1'), breathe)).rejects.toMatchObject({ code: 'WRITE_FAILED' })
    expect(readState(dir)).toBeNull()
    files.close()
  })
})
