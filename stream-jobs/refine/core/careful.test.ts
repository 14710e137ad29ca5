// K1: whatever throws, and wherever in a record's step: the state is what it was before the record, which is a dead
// letter, and the records after it are worked on as if it had never come.
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { imbalance } from '../../../schemas/refine.ts'
import { check } from '../../../test/fixtures/property.ts'
import { newCore, play, Recorder, scripts, SETTINGS } from './arrivals.test-support.ts'
import { DueQueue } from './due-queue.ts'
import { HoldBack } from './hold-back.ts'
import { Lane } from './lane.ts'
import { MetricWindow } from './metric-window.ts'
import { MissingRanges } from './missing-ranges.ts'
import { Recent } from './recent.ts'
import type { Refine } from './refine.ts'
import { Sensor } from './sensor.ts'
import { SensorClock } from './sensor-clock.ts'
import { snapshotType, takeSnapshot } from './snapshot.ts'

/** Everything inside a step that could have a mistake: the parts of a sensor's state, and the outputs. */
const STEPS: readonly (readonly [object, string])[] = [
  [Lane.prototype, 'place'],
  [Lane.prototype, 'take'],
  [Lane.prototype, 'fill'],
  [Lane.prototype, 'hold'],
  [Lane.prototype, 'takeNext'],
  [Lane.prototype, 'giveUp'],
  [Lane.prototype, 'settle'],
  [Recent.prototype, 'advance'],
  [MissingRanges.prototype, 'add'],
  [MissingRanges.prototype, 'take'],
  [HoldBack.prototype, 'judge'],
  [HoldBack.prototype, 'hold'],
  [HoldBack.prototype, 'remember'],
  [SensorClock.prototype, 'believes'],
  [MetricWindow.prototype, 'push'],
  [MetricWindow.prototype, 'z'],
  [Sensor.prototype, 'open'],
  [Sensor.prototype, 'lane'],
  [Sensor.prototype, 'resizedWindows'],
  [DueQueue.prototype, 'add'],
  [Recorder.prototype, 'clean'],
  [Recorder.prototype, 'late'],
  [Recorder.prototype, 'anomaly'],
]

/** Once it is armed, the step throws the next time: before it has done its work, or after. */
function plant([target, name]: readonly [object, string], isAfter: boolean) {
  const planted = { isArmed: false, hasThrown: false }
  const original = (target as Record<string, (...given: unknown[]) => unknown>)[name]
  vi.spyOn(target as Record<string, () => unknown>, name).mockImplementation(function (this: unknown, ...given) {
    if (!planted.isArmed) return original.apply(this, given)
    planted.isArmed = false
    planted.hasThrown = true
    if (isAfter) original.apply(this, given)
    throw new TypeError('a mistake')
  })
  return planted
}

afterEach(() => {
  vi.restoreAllMocks()
})

const bytesOf = (core: Refine): string[] =>
  takeSnapshot(core, 'id', 0).map((chunk) => snapshotType.toBuffer({ ...chunk, now: 0, counters: {} }).toString('hex'))

const recordsOf = (batches: readonly RecordBatch[]): [RecordBatch, number][] =>
  batches.flatMap((batch) => Array.from({ length: batch.count }, (_, i): [RecordBatch, number] => [batch, i]))

describe('K1: an exception in the middle of a record', () => {
  test.each(STEPS.map((step) => [step[0].constructor.name, step[1], step] as const))(
    'in %s.%s leaves the state as it was, and the record is a dead letter',
    (_, __, step) => {
      let thrown = 0
      check(
        fc.property(scripts(true), fc.nat(20), fc.boolean(), (script, after, isAfter) => {
          const out = new Recorder()
          const core = newCore(out, SETTINGS)
          const planted = plant(step, isAfter)
          try {
            recordsOf(play(script).batches).forEach(([batch, i], at) => {
              // Waits that end by the record's time are not part of its own step.
              const endsWaits = core.due.next <= batch.timestamp(i)
              if (at < after || endsWaits || planted.hasThrown) return void core.run(batch, i, i + 1)
              const before = bytesOf(core)
              const counters = { ...core.ledger }
              const said = out.said.length
              planted.isArmed = true
              core.run(batch, i, i + 1)
              planted.isArmed = false
              expect(imbalance(core.ledger)).toBe(0)
              if (!planted.hasThrown) return
              thrown += 1
              expect(core.failures).toBe(1)
              expect(bytesOf(core)).toEqual(before)
              const { consumed, deadLettered } = counters
              expect(core.ledger).toEqual({ ...counters, consumed: consumed + 1, deadLettered: deadLettered + 1 })
              const offset = String(batch.offset(i))
              expect(out.said.slice(said)).toMatchObject([
                { topic: 'dead letters', payload: offset, detail: 'INTERNAL_ERROR: TypeError: a mistake' },
              ])
            })
          } finally {
            vi.restoreAllMocks()
          }
          expect(imbalance(core.ledger)).toBe(0)
        }),
        60,
      )
      expect(thrown, 'the mistake was met').toBeGreaterThan(0)
    },
  )

  test('on a wait that ends leaves every other sensor, and the ledger balances whatever throws how often', () => {
    check(
      fc.property(scripts(true), fc.nat(STEPS.length - 1), fc.nat(7), fc.boolean(), (script, which, nth, isAfter) => {
        const out = new Recorder()
        const core = newCore(out, SETTINGS)
        const planted = plant(STEPS[which], isAfter)
        try {
          recordsOf(play(script).batches).forEach(([batch, i], at) => {
            planted.isArmed = at % 8 === nth
            core.run(batch, i, i + 1)
            planted.isArmed = false
            expect(imbalance(core.ledger)).toBe(0)
          })
        } finally {
          vi.restoreAllMocks()
        }
        const { ledger, sensors } = core
        let waiting = 0
        for (const sensor of sensors.values()) waiting += sensor.buffered()
        expect(waiting).toBe(ledger.buffered)
        expect(out.of('clean').length).toBe(ledger.emitted)
        expect(out.of('late').length).toBe(ledger.late)
        expect(out.of('dead letters').length).toBe(ledger.deadLettered + ledger.conflict)
      }),
      300,
    )
  })
})
