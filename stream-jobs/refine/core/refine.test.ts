import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../../test/fixtures/property.ts'
import {
  feed,
  newCore,
  play,
  readingAt,
  Recorder,
  type Said,
  type Scenario,
  PARTITION,
  SCHEMA_ID,
  SETTINGS,
  type Step,
  START_MS,
  scripts,
  tickRecord,
} from './arrivals.test-support.ts'
import { imbalance } from '../../../schemas/refine.ts'
import { readingType } from '../../../platform/codec/reading.ts'
import { expectRefined } from '../../../test/oracle/refine.ts'
import type { CoreSettings } from './settings.ts'
import { recordBatchOf } from '../../../platform/kafka/record-batch/record-batch.test-support.ts'

const settings: fc.Arbitrary<CoreSettings> = fc
  .record({
    gapBuffer: fc.constantFrom(1, 3, 64),
    holdBackBuffer: fc.constantFrom(1, 4, 256),
    gapTimeoutMs: fc.constantFrom(1, 1_000, 2_000),
    holdBackMs: fc.constantFrom(1, 1_000, 2_000),
  })
  .map((changes) => ({ ...SETTINGS, ...changes }))

function run({ batches }: Scenario, by: CoreSettings = SETTINGS): { out: Recorder; core: ReturnType<typeof newCore> } {
  const out = new Recorder()
  const core = newCore(out, by)
  feed(core, batches)
  return { out, core }
}

const bySensor = (said: readonly Said[], text: (one: Said) => string): Record<string, string[]> => {
  const lists: Record<string, string[]> = {}
  for (const one of said) (lists[one.sensor] ??= []).push(text(one))
  return lists
}

/** The oracle's lists are by record key. */
const bySensorKey = <T>(lists: ReadonlyMap<string, readonly T[]>, text: (one: T) => string): Record<string, string[]> =>
  Object.fromEntries([...lists].map(([key, list]) => [key.replace(/^t\//, ''), list.map(text)]))

/** Hundreds of scenarios take some 5 s here, several times that on a busy machine. */
const LONG = { timeout: 180_000 }

describe('refine', LONG, () => {
  test('EM-2 DS-1: answers as the oracle does', () => {
    check(
      fc.property(scripts(false), settings, (script, by) => {
        const scenario = play(script)
        const { out, core } = run(scenario, by)
        const want = expectRefined(scenario.records, { ...by, partition: PARTITION }, (id) =>
          id === SCHEMA_ID ? readingType : undefined,
        )
        const payload = (offset: number): string => scenario.arrivals[offset].payload
        expect(bySensor(out.of('clean'), (said) => said.payload)).toEqual(
          bySensorKey(want.clean, (offset) => payload(offset)),
        )
        expect(bySensor(out.of('late'), (said) => `${said.detail} ${said.payload}`)).toEqual(
          bySensorKey(want.late, ({ offset, reason }) => `${reason} ${payload(offset)}`),
        )
        expect(out.of('dead letters').map((said) => `${said.payload} ${said.detail.split(':')[0]}`)).toEqual(
          want.deadLetters.map(({ offset, reason }) => `${offset} ${reason}`),
        )
        expect(core.ledger).toMatchObject({
          duplicate: want.duplicates.length,
          conflict: want.conflicts.length,
          control: want.controls.length,
          buffered: want.waiting.length,
          gapsGivenUp: want.givenUp,
        })
      }),
      400,
    )
  })

  test('EM-2: time strictly increases in clean, and no (sensor, epoch, seq) is in it twice', () => {
    check(
      fc.property(scripts(true), (script) => {
        const { out } = run(play(script))
        const lastTs = new Map<string, number>()
        const places = new Set<string>()
        for (const { sensor, ts, payload } of out.of('clean')) {
          const { epoch, seq, ts: own } = readingAt(payload)
          expect(own).toBe(ts)
          expect(ts).toBeGreaterThan(lastTs.get(sensor) ?? -Infinity)
          lastTs.set(sensor, ts)
          const place = epoch === 0 ? `${sensor}@${ts}` : `${sensor}/${epoch}/${seq}`
          expect(places.has(place)).toBe(false)
          places.add(place)
        }
      }),
      200,
    )
  })

  test('X-2: the ledger balances after every record and agrees with what was said', () => {
    check(
      fc.property(scripts(true), (script) => {
        const { batches } = play(script)
        const out = new Recorder()
        const core = newCore(out)
        for (const batch of batches) {
          for (let i = 0; i < batch.count; i += 1) {
            core.run(batch, i, i + 1)
            expect(imbalance(core.ledger)).toBe(0)
            let waiting = 0
            for (const sensor of core.sensors.values()) waiting += sensor.buffered()
            expect(core.ledger.buffered).toBe(waiting)
          }
        }
        const { emitted, late, deadLettered, conflict, correction, regressed, ahead, anomalies } = core.ledger
        const conflicts = out.of('dead letters').filter(({ detail }) => detail.startsWith('CONFLICT')).length
        const count = (detail: string): number => out.of('late').filter((said) => said.detail === detail).length
        expect({ emitted, late, deadLettered, conflict, correction, regressed, ahead, anomalies }).toEqual({
          emitted: out.of('clean').length,
          late: out.of('late').length,
          deadLettered: out.of('dead letters').length - conflicts,
          conflict: conflicts,
          correction: count('correction'),
          regressed: count('regressed'),
          ahead: count('ahead'),
          anomalies: out.of('anomalies').length,
        })
      }),
      150,
    )
  })

  test('X-2: nothing waits for ever: after a tick beyond every wait nothing is buffered and every reading is somewhere', () => {
    check(
      fc.property(scripts(true), (script) => {
        const scenario = play(script)
        const { out, core } = run(scenario)
        feed(core, [recordBatchOf([tickRecord], { appendTime: core.now + 10_000 })])
        expect(core.ledger.buffered).toBe(0)
        expect(core.due.next).toBe(Infinity)
        // Every distinct payload that was neither refused nor garbage is in clean or late.
        const somewhere = new Set(out.said.map(({ payload }) => payload))
        const dead = new Set(out.of('dead letters').map(({ payload }) => Number(payload)))
        const { gapsFilledLate, gapsGivenUp } = core.ledger
        for (const { offset, what, payload, refused, epoch } of scenario.arrivals) {
          if (what !== 'reading' || dead.has(offset)) continue
          if (refused || epoch !== 0) continue // a place may have been taken by a refused reading of the same seq
          expect(somewhere.has(payload)).toBe(true)
        }
        expect(gapsFilledLate).toBeLessThanOrEqual(gapsGivenUp)
      }),
      150,
    )
  })

  test('keeps no more due times than records within the longest wait', () => {
    const wave = Array.from({ length: 3_000 }, (_, i): Step => ({
      what: i % 2 === 0 ? 'numbered' : 'plain',
      sensor: i % 3,
      epoch: 1 + (i % 2),
      back: [0, -2, 1, 0, 2][i % 5],
      variant: i % 4,
      kind: 5,
      wait: i % 3 === 0 ? 50 : 0,
    }))
    const { batches } = play(wave)
    const out = new Recorder()
    const core = newCore(out)
    let most = 0
    for (const batch of batches) {
      feed(core, [batch])
      most = Math.max(most, core.due.size)
    }
    const recordsWithinWait = Math.ceil(SETTINGS.gapTimeoutMs / 50) * 3
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThanOrEqual(2 * recordsWithinWait)
  })

  test('EM-1 MI-2: reordering within the bound of the buffer loses nothing and gives the sorted input', () => {
    check(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.infiniteStream(fc.integer({ min: 0, max: 60 })),
        (count, shift) => {
          const seqs = Array.from({ length: count }, (_, seq) => ({
            seq,
            rank: seq + (shift.next().value as number),
          })).sort((a, b) => a.rank - b.rank || a.seq - b.seq)
          let sent = -1
          const script = seqs.map(({ seq }): Step => {
            const back = sent + 1 - seq
            sent = Math.max(sent, seq)
            return { what: 'numbered', sensor: 0, epoch: 1, back, variant: 0, kind: 5, wait: 1 }
          })
          const { out, core } = run(play(script))
          expect(core.ledger).toMatchObject({
            consumed: count,
            buffered: 0,
            duplicate: 0,
            gapsGivenUp: 0,
            late: core.ledger.regressed,
          })
          const order = out.said
            .filter(({ topic }) => topic !== 'anomalies')
            .map(({ payload }) => readingAt(payload).seq)
          expect(order).toEqual(Array.from({ length: count }, (_, seq) => seq))
        },
      ),
      100,
    )
  })

  test('X-2: the clock of the core never goes back, and time in front of the first record is 0', () => {
    const core = newCore(new Recorder())
    expect(core.now).toBe(0)
    feed(core, [
      recordBatchOf([tickRecord], { appendTime: START_MS }),
      recordBatchOf([tickRecord], { appendTime: START_MS - 5_000 }),
    ])
    expect(core.now).toBe(START_MS)
  })
})
