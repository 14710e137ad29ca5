import { describe, expect, test } from 'vitest'
import { nextDegraded, type Pressure } from './degraded.ts'
import { Disorder } from './disorder.ts'
import { CLOCK_STEP_AFTER_MS, Faults } from './faults.ts'

describe('disorder (EM-1)', () => {
  const options = { seed: 11, outOfOrder: 0.02, duplicates: 0.007, sensors: 10, maxOvertakes: 5 }

  test('2 % are held back and 0.7 % sent twice, the same ones for the same seed', () => {
    const fates = (seed: number): string[] => {
      const disorder = new Disorder({ ...options, seed })
      return Array.from({ length: 50_000 }, (_, index) => `${disorder.fate(index)}`)
    }
    const first = fates(11)
    expect(fates(11)).toEqual(first)
    expect(fates(12)).not.toEqual(first)
    expect(first.filter((fate) => fate === 'held').length / 50_000).toBeCloseTo(0.02, 2)
    expect(first.filter((fate) => fate === 'twice').length / 50_000).toBeGreaterThan(0.005)
    expect(first.filter((fate) => fate === 'twice').length / 50_000).toBeLessThan(0.01)
  })

  test('a reading that is held back is overtaken by at least one and at most five of its sensor', () => {
    const disorder = new Disorder(options)
    const overtakes = new Set(
      Array.from({ length: 1_000 }, (_, index) => Math.floor((disorder.dueAt(index) - index - 1) / 10)),
    )
    expect([...overtakes].sort()).toEqual([1, 2, 3, 4, 5])
  })
})

describe('degraded (MI-3)', () => {
  const calm: Pressure = { ringFill: 0, behindRing: false, failures: 0, sendingMs: 0 }
  test.each<[string, boolean, Partial<Pressure>, boolean]>([
    ['a calm node is not', false, {}, false],
    ['near capacity it is', false, { ringFill: 0.8 }, true],
    ['below that it is not', false, { ringFill: 0.79 }, false],
    ['once it is, it stays until the ring is relieved', true, { ringFill: 0.79 }, true],
    ['and then it is not', true, { ringFill: 0.49 }, false],
    ['one failed send is not push-back', false, { failures: 1 }, false],
    ['two are', false, { failures: 2 }, true],
    ['it stays until a send ends well', true, { failures: 1 }, true],
    ['a send that takes long is push-back', false, { sendingMs: 1_000 }, true],
    ['readings that only the log holds are', false, { behindRing: true }, true],
  ])('%s', (_name, before, pressure, after) => {
    expect(nextDegraded(before, { ...calm, ...pressure })).toBe(after)
  })
})

describe('fault injection (MI-6)', () => {
  const none = { seed: 1, dropProbability: 0, ackDelayMs: 0, outageAtMs: 0, outageMs: 0, clockStepMs: 0 }

  test('drops the share of sends that was asked for, the same ones for the same seed', () => {
    const run = (): boolean[] => {
      const faults = new Faults({ ...none, dropProbability: 0.1 })
      return Array.from({ length: 10_000 }, () => faults.dropsNext())
    }
    expect(run()).toEqual(run())
    expect(run().filter(Boolean).length / 10_000).toBeCloseTo(0.1, 1)
    expect(new Faults(none).dropsNext()).toBe(false)
  })

  test('the broker is out within the window only, and the clock steps once', () => {
    const faults = new Faults({ ...none, outageAtMs: 1_000, outageMs: 500, clockStepMs: -700 })
    expect([999, 1_000, 1_499, 1_500].map((ms) => faults.isOut(ms))).toEqual([false, true, true, false])
    expect([CLOCK_STEP_AFTER_MS - 1, CLOCK_STEP_AFTER_MS].map((ms) => faults.clockErrorMs(ms))).toEqual([0, -700])
  })
})
