// What a start may do with the state that another version has left.
import { describe, expect, test } from 'vitest'
import { emptyLedger, LEDGER_NAMES } from '../../../schemas/refine.ts'
import { coreVersion } from '../core/version.ts'
import { decodeMetadata, encodeMetadata, expectReplayable } from './commit-metadata.ts'
import { FatalRestoreError } from './fatal.ts'

const snapshot = { offset: 5, chunks: 1, id: 'x', input: 100 }
const metadata = (core: string) => ({ ...decoded(), core })
const decoded = () =>
  decodeMetadata(encodeMetadata({ snapshot, ledger: emptyLedger(), refusals: [], above: [] }), 2, 100)
const at = (offset: number) => ({ topic: 'telemetry.raw', partition: 2, offset })

const failure = (work: () => void): Error & { code?: string } => {
  try {
    work()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

describe('the metadata of a committed offset', () => {
  test('names the version of the core and every counter of the ledger', () => {
    const ledger = { ...emptyLedger(), consumed: 3, late: 3 }
    const text = encodeMetadata({ snapshot, ledger, refusals: [[9, -1]], above: [[17, 4]] })
    expect(JSON.parse(text)).toMatchObject({ v: 2, core: coreVersion(), ledger: { consumed: 3, late: 3, control: 0 } })
    expect(decodeMetadata(text, 2, 100)).toMatchObject({
      ledger: { consumed: 3, late: 3 },
      refusals: [[9, -1]],
      above: [[17, 4]],
    })
  })

  test('may lack counters that its writer did not have, and have some that this version does not know', () => {
    const text = JSON.stringify({ v: 2, core: 'x', snapshot, ledger: { consumed: 3, sparkling: 1 }, refusals: [] })
    expect(decodeMetadata(text, 2, 100).ledger).toEqual({ ...emptyLedger(), consumed: 3 })
  })

  test('of version 1, a list without the version of the core, is still read', () => {
    const ledger = [7, 1, 2, 1, 1, 1, 1, 0, 1, 5, 1, 9]
    const text = JSON.stringify({ v: 1, snapshot, ledger, refusals: [], above: [] })
    expect(decodeMetadata(text, 2, 100)).toMatchObject({
      core: '',
      ledger: { consumed: 7, emitted: 1, duplicate: 2, buffered: 1, gapsGivenUp: 5, anomalies: 9 },
    })
    expect(LEDGER_NAMES.length).toBeGreaterThanOrEqual(ledger.length)
  })

  test.each(['', '{}', '[1]', 'null', '{"v":3}'])('that is not refine’s is named: %s', (text) => {
    expect(failure(() => decodeMetadata(text, 2, 100))).toMatchObject({ code: 'FOREIGN_OFFSET', partition: 2 })
  })
})

describe('a start with another version of the core', () => {
  test.each(['', '1-00000000', '999-deadbeef'])('continues where nothing is to be replayed (version "%s")', (core) => {
    expect(() => expectReplayable(metadata(core), at(100), 'refine')).not.toThrow()
  })

  test.each([
    ['a newer one', '1-00000000', '2-00000000'],
    ['an older one', '2-00000000', '1-00000000'],
    ['one of other metrics', '1-00000000', '1-00000001'],
    ['one after there was none', '', '1-00000000'],
  ])('that would replay is refused with the way out, for %s', (_, written, own) => {
    const error = failure(() => expectReplayable(metadata(written), at(101), 'refine', own))
    expect(error).toBeInstanceOf(FatalRestoreError)
    expect(error).toMatchObject({ code: 'CORE_CHANGED', partition: 2, offset: 101 })
    expect(error.message).toContain(`core version ${written === '' ? '0' : written}`)
    expect(error.message).toContain(`this is version ${own}`)
    expect(error.message).toMatch(/Start the former version .* stop it cleanly .* If it is lost, delete the offsets/)
  })

  test('the same version replays', () => {
    expect(() => expectReplayable(decoded(), at(1_000), 'refine')).not.toThrow()
  })
})
