// Comparing replicas on a real file system: what is the same, what differs first, and what is left out because not all
// of them have it yet.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { emptyState, writeState } from '../../sinks/replica/state.ts'
import { compareReplicas } from './diff.ts'

const HEADER = 'sequence,timestamp\n'
let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'plumbline-diff-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function replica(id: string, span: readonly [number, number], files: Record<string, string>, late = [0]): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, id, path)), { recursive: true })
    writeFileSync(join(root, id, path), text)
  }
  mkdirSync(join(root, id), { recursive: true })
  writeState(join(root, id), {
    ...emptyState(id),
    first_sequence: span[0],
    next_sequence: span[1],
    late_first: late.map(() => 0),
    late_next: late,
  })
}

describe('plumbline replica diff (DS-4, DS-5)', () => {
  const a = { 'a.csv': `${HEADER}0,x\n2,y\n`, 'b.csv': `${HEADER}1,x\n`, 'late/0/a.csv': `${HEADER}5,l\n` }

  test('equal replicas are the same, and the rows are counted', () => {
    for (const id of ['r1', 'r2', 'r3']) replica(id, [0, 3], a, [6])
    expect(compareReplicas(root, ['r1', 'r2', 'r3'])).toEqual({
      lines: ['compared: sequences 0 to 2', 'same: 3 rows of the order and 1 late ones in 3 files'],
      difference: null,
    })
  })

  test('the first row that differs is named with its file and line, in the second replica or the third', () => {
    replica('r1', [0, 3], a, [6])
    replica('r2', [0, 3], a, [6])
    replica('r3', [0, 3], { ...a, 'a.csv': `${HEADER}0,x\n2,Y\n` }, [6])
    expect(compareReplicas(root, ['r1', 'r2', 'r3']).difference).toBe(
      'a.csv: r1 has in line 3: 2,y; r3 has in line 3: 2,Y',
    )
  })

  test('a row or a file that one lacks, one too many, and a late one are differences', () => {
    replica('r1', [0, 3], a, [6])
    replica('lacks', [0, 3], { ...a, 'b.csv': HEADER }, [6])
    const { 'b.csv': _, ...without } = a
    replica('file', [0, 3], without, [6])
    replica('more', [0, 3], { ...a, 'c.csv': `${HEADER}2,y\n` }, [6])
    replica('late', [0, 3], { ...a, 'late/0/a.csv': `${HEADER}5,m\n` }, [6])
    replica('garbage', [0, 3], { ...a, 'b.csv': `${HEADER}garbage\n1,x\n` }, [6])
    const difference = (id: string): string | null => compareReplicas(root, ['r1', id]).difference
    expect(difference('lacks')).toBe('b.csv: r1 has in line 2: 1,x; lacks has no such row')
    expect(difference('file')).toBe('b.csv: r1 has in line 2: 1,x; file has no such row')
    expect(difference('more')).toBe('c.csv: r1 has no such row; more has in line 2: 2,y')
    expect(difference('late')).toBe('late/0/a.csv: r1 has in line 2: 5,l; late has in line 2: 5,m')
    expect(difference('garbage')).toBe('b.csv: r1 has in line 2: 1,x; garbage has in line 2: garbage')
  })

  test('at different progress only what all have on disk is compared, and that is said', () => {
    replica('r1', [0, 2], { 'a.csv': `${HEADER}0,x\n2,torn`, 'b.csv': `${HEADER}1,x\n` })
    replica('r2', [1, 3], { 'a.csv': `${HEADER}2,y\n`, 'b.csv': `${HEADER}1,x\n`, 'late/0/a.csv': `${HEADER}0,l\n` })
    expect(compareReplicas(root, ['r1', 'r2'])).toEqual({
      lines: [
        'r1 has 0 to 1, r2 has 1 to 2; compared: sequences 1 to 1, which all of them have on disk',
        'same: 1 rows of the order and 0 late ones in 3 files',
      ],
      difference: null,
    })
  })

  test('a folder that is no replica is named', () => {
    replica('r1', [0, 1], {})
    expect(() => compareReplicas(root, ['r1', 'r9'])).toThrow(/r9 is no replica: start one by/)
  })
})
