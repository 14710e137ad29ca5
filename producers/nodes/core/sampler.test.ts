import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../../test/fixtures/property.ts'
import { Sampler, type SamplerOptions } from './sampler.ts'
import { SteadyClock } from './steady-clock.ts'

const calm = { factor: 1, lengthMs: 10_000, everyMs: 60_000 }
const options = (overrides: Partial<SamplerOptions> = {}): SamplerOptions => ({
  sensors: 3,
  rateHz: 10,
  bursts: calm,
  ...overrides,
})

interface Sample {
  sensor: number
  ts: number
  mono: number
}

function take(sampler: Sampler, mono: number, wall: number): Sample[] {
  const samples: Sample[] = []
  sampler.run(mono, wall, (sensor, ts, monoMs) => samples.push({ sensor, ts, mono: monoMs }))
  return samples
}

describe('the sampler (MI-1)', () => {
  test('takes 10 samples a second of each sensor, evenly', () => {
    const sampler = new Sampler(options(), 0, 1_000_000, 0)
    const samples: Sample[] = []
    for (let mono = 0; mono < 10_000; mono += 17) samples.push(...take(sampler, mono, 1_000_000 + mono))
    for (const sensor of [0, 1, 2]) {
      const times = samples.filter((sample) => sample.sensor === sensor).map(({ ts }) => ts)
      expect(times.length).toBeGreaterThanOrEqual(99)
      expect(new Set(times.slice(1).map((ts, i) => ts - times[i]))).toEqual(new Set([100]))
    }
  })

  test('event time strictly increases per sensor however the wall clock steps, and the steps are counted', () => {
    const look = fc.record({
      elapsed: fc.integer({ min: 1, max: 400 }),
      step: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.integer({ min: -3_600_000, max: 3_600_000 })),
    })
    check(
      fc.property(
        fc.array(look, { maxLength: 40 }),
        fc.double({ min: 0.5, max: 100, noNaN: true }),
        (looks, rateHz) => {
          const sampler = new Sampler(options({ rateHz }), 5, 10 ** 12, 0)
          let [mono, wall, steps] = [5, 10 ** 12, 0]
          const last = [0, 0, 0]
          for (const { elapsed, step } of looks) {
            mono += elapsed
            wall += elapsed + step
            if (Math.abs(step) >= 20) steps += step
            let lastMono = -1
            for (const { sensor, ts, mono: at } of take(sampler, mono, wall)) {
              expect(ts).toBeGreaterThan(last[sensor])
              expect(Number.isInteger(ts)).toBe(true)
              expect(at).toBeGreaterThan(lastMono)
              last[sensor] = ts
              lastMono = at
            }
          }
          expect(sampler.clockStepMs).toBe(steps)
        },
      ),
    )
  })

  test('MI-5: at changing rates time continues strictly increasing, samples come in turn and none is closer to the last than the rate allows', () => {
    const look = fc.record({
      elapsed: fc.integer({ min: 0, max: 700 }),
      rateHz: fc.option(fc.constantFrom(0.001, 0.5, 1, 10, 333, 1_000), { freq: 2 }),
    })
    check(
      fc.property(fc.array(look, { maxLength: 60 }), (looks) => {
        const sampler = new Sampler(options({ rateHz: 5 }), 5, 10 ** 12, 0)
        let mono = 5
        let rate = 5
        const last = [0, 0, 0]
        let [turn, lastMono] = [0, -Infinity]
        for (const { elapsed, rateHz } of looks) {
          mono += elapsed
          const samples = take(sampler, mono, 10 ** 12 + mono)
          for (const { sensor, ts, mono: at } of samples) {
            expect(sensor).toBe(turn % 3)
            expect(ts).toBeGreaterThan(last[sensor])
            expect(at - lastMono).toBeGreaterThan(1000 / (rate * 3) - 0.001)
            turn += 1
            last[sensor] = ts
            lastMono = at
          }
          if (rateHz === null) continue
          sampler.setRate(rateHz, mono)
          rate = rateHz
        }
      }),
    )
  })

  test('MI-5: a change from a sample every quarter of an hour to 10 Hz acts at once, and back', () => {
    const sampler = new Sampler(options({ sensors: 1, rateHz: 0.001 }), 0, 0, 0)
    expect(take(sampler, 0, 0)).toHaveLength(1)
    sampler.setRate(10, 500_000)
    expect(take(sampler, 500_950, 500_950).map(({ mono }) => mono)).toEqual(
      Array.from({ length: 10 }, (_, i) => 500_000 + i * 100),
    )
    sampler.setRate(0.001, 500_950)
    expect(take(sampler, 1_500_800, 1_500_800)).toHaveLength(0)
    expect(take(sampler, 1_500_900, 1_500_900)).toHaveLength(1)
    expect(sampler.missed).toBe(0)
  })

  test('continues above the last event time that the log holds, when the clock is behind it after a restart', () => {
    const sampler = new Sampler(options(), 0, 500_000, 900_000)
    expect(take(sampler, 100, 500_100).every(({ ts }) => ts > 900_000)).toBe(true)
  })

  test('catches up a short stall, and names the samples that a long one cost', () => {
    const sampler = new Sampler(options({ sensors: 1 }), 0, 0, 0)
    expect(take(sampler, 900, 900)).toHaveLength(10)
    expect(take(sampler, 10_900, 10_900)).toHaveLength(1)
    expect(sampler.missed).toBe(99)
  })

  test('in a burst takes 10 times as many for 10 s of every 60 s (EM-1)', () => {
    const sampler = new Sampler(options({ bursts: { factor: 10, lengthMs: 10_000, everyMs: 60_000 } }), 0, 0, 0)
    const perSecond = Array.from({ length: 120 }, () => 0)
    for (let mono = 0; mono < 120_000; mono += 20)
      for (const { mono: at } of take(sampler, mono, mono)) perSecond[Math.floor(at / 1000)] += 1
    expect(perSecond.map((count) => (count > 100 ? 'burst' : 'calm')).join(' ')).toBe(
      Array.from({ length: 120 }, (_, s) => (s % 60 >= 50 ? 'burst' : 'calm')).join(' '),
    )
  })
})

test('a clock that stepped back is paid off at half speed, and met again', () => {
  const clock = new SteadyClock(0, 10_000, 0)
  clock.observe(1_000, 6_000) // a step of 5 s back
  expect(clock.stepsMs).toBe(-5_000)
  expect(clock.at(1_000)).toBe(10_500)
  for (let mono = 2_000; mono <= 12_000; mono += 1_000) clock.observe(mono, 5_000 + mono)
  expect(clock.at(12_000)).toBe(17_000)
})
