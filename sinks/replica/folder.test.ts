// A replica's folder on a real file system: what is cleared, what is refused, and that a kill at any byte of the files
// followed by a resume ends in the same bytes as a run that nobody interrupted.
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkAsync } from '../../test/fixtures/property.ts'
import { prepareFolder, rowFiles } from './folder.ts'
import { RowFiles } from './row-files.ts'
import { readState, type ReplicaState, writeState } from './state.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'plumbline-replica-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const HEADER = 'sequence,x\n'
const breathe = (): Promise<void> => Promise.resolve()
const contents = (dir: string): Record<string, string> =>
  Object.fromEntries(
    rowFiles(dir)
      .sort()
      .map((path) => [path, readFileSync(join(dir, path), 'utf8')]),
  )

describe('the folder of a replica (DS-4)', () => {
  test('it is cleared on start of what a replica makes, and of nothing else', () => {
    const dir = join(root, 'r1')
    prepareFolder(dir, 'r1', false)
    mkdirSync(join(dir, 'late/0'), { recursive: true })
    mkdirSync(join(dir, 'tenant=acme'))
    for (const file of ['a.csv', 'late/0/a.csv', 'tenant=acme/a.csv', 'notes.txt']) writeFileSync(join(dir, file), 'x')
    expect(prepareFolder(dir, 'r1', false).next_sequence).toBe(null)
    expect(readdirSync(dir).sort()).toEqual(['notes.txt', 'replica.json'])
  })

  test('a folder without our marker is refused and left as it is, one of another replica too', () => {
    writeFileSync(join(root, 'thesis.csv'), 'precious')
    for (const resume of [false, true])
      expect(() => prepareFolder(root, 'r1', resume)).toThrow(expect.objectContaining({ code: 'FOLDER_NOT_OURS' }))
    expect(readdirSync(root)).toEqual(['thesis.csv'])
    const dir = join(root, 'r1')
    prepareFolder(dir, 'r1', false)
    expect(() => prepareFolder(dir, 'r2', false)).toThrow(expect.objectContaining({ code: 'OTHER_REPLICA' }))
  })

  test('a state that is not one is refused with its place', () => {
    writeFileSync(join(root, 'replica.json'), '{"format":2}')
    expect(() => prepareFolder(root, 'r1', true)).toThrow(/replica\.json is no state of a replica .*format/)
  })

  test('killed while clearing, a resumed replica starts over', () => {
    const dir = join(root, 'r1')
    const fresh = prepareFolder(dir, 'r1', false)
    writeState(dir, { ...fresh, first_sequence: 0, next_sequence: 9 })
    writeFileSync(join(dir, 'a.csv'), `${HEADER}0,\n`)
    writeState(dir, fresh) // the first thing that clearing does
    expect(prepareFolder(dir, 'r1', true).next_sequence).toBe(null)
    expect(rowFiles(dir)).toEqual([])
  })

  test('a kill at any byte, then a resume: the files equal those of a run without one', async () => {
    const step = fc.record({ sensor: fc.nat(4), late: fc.boolean(), commit: fc.boolean(), flush: fc.boolean() })
    await checkAsync(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), fc.nat(), fc.nat(), async (steps, at, kill) => {
        const work = mkdtempSync(join(root, 'case-'))
        const whole = join(work, 'whole')
        await run(whole, prepareFolder(whole, 'r', false), steps, 0, steps.length)
        const broken = join(work, 'broken')
        const killedAt = at % (steps.length + 1)
        await run(broken, prepareFolder(broken, 'r', false), steps, 0, killedAt)
        tear(broken, kill)
        const resumed = prepareFolder(broken, 'r', true)
        await run(broken, resumed, steps, (resumed.next_sequence ?? 0) + (resumed.late_next[0] ?? 0), steps.length)
        expect(contents(broken)).toEqual(contents(whole))
        rmSync(work, { recursive: true })
      }),
      60,
    )
  })
})

interface Step {
  readonly sensor: number
  readonly late: boolean
  readonly commit: boolean
  readonly flush: boolean
}

/** Writes steps [from, to) as a replica would: a step is a row, of the order or of late, by the state's own counts. */
async function run(dir: string, state: ReplicaState, steps: readonly Step[], from: number, to: number): Promise<void> {
  const files = new RowFiles(dir)
  let next = state.next_sequence ?? 0
  let late = state.late_next[0] ?? 0
  for (const { sensor, late: isLate, commit, flush } of steps.slice(from, to)) {
    if (isLate) files.add(`late/0/s${sensor}.csv`, HEADER, `${late++},l\n`)
    else files.add(`s${sensor}.csv`, HEADER, `${next++},o\n`)
    if (flush) files.flush()
    if (commit) await files.commit({ ...state, first_sequence: 0, next_sequence: next, late_next: [late] }, breathe)
  }
  if (to === steps.length) files.flush()
  files.close()
}

/** Cuts one file anywhere after what the checkpoint has made sure: a kill within a write. */
function tear(dir: string, kill: number): void {
  const copy = `${dir}-sure`
  cpSync(dir, copy, { recursive: true })
  prepareFolder(copy, readState(copy)!.replica, true)
  const paths = rowFiles(dir)
  if (paths.length === 0) return
  const path = paths[kill % paths.length]
  const size = statSync(join(dir, path)).size
  const sure = rowFiles(copy).includes(path) ? statSync(join(copy, path)).size : 0
  truncateSync(join(dir, path), sure + (kill % (size - sure + 1)))
}
