import { describe, expect, test } from 'vitest'
import { Health, ProgressWatch, STUCK_AFTER_MS } from './health.ts'

describe('readiness', () => {
  test('needs every check, and shows each', () => {
    const health = new Health()
    expect(health.readiness()).toEqual({ ready: true, checks: {} })
    health.add('broker', () => ({ ready: true, detail: 'reachable' }))
    expect(health.readiness().ready).toBe(true)
    health.add('store', () => ({ ready: false, detail: 'brownout' }))
    expect(health.readiness()).toEqual({
      ready: false,
      checks: { broker: { ready: true, detail: 'reachable' }, store: { ready: false, detail: 'brownout' } },
    })
  })

  test('is false, not an error, when a check itself fails', () => {
    const health = new Health()
    health.add('store', () => {
      throw new Error('it is closed')
    })
    expect(health.readiness()).toEqual({ ready: false, checks: { store: { ready: false, detail: 'it is closed' } } })
  })
})

describe('a progress watch', () => {
  test('is ready while nothing is watched and while positions move', () => {
    const watch = new ProgressWatch()
    expect(watch.check(0).ready).toBe(true)
    for (let t = 0; t < 200_000; t += 20_000) watch.observe('raw/0', t, t + 1_000_000, t)
    expect(watch.check(200_000)).toEqual({ ready: true, detail: '1 partitions move' })
  })

  test('names the partition that had something to read for 30 s and did not move', () => {
    const watch = new ProgressWatch()
    watch.observe('raw/0', 5, 5, 0)
    watch.observe('raw/1', 5, 9, 0)
    watch.observe('raw/1', 5, 12, 20_000)
    expect(watch.check(STUCK_AFTER_MS - 1).ready).toBe(true)
    expect(watch.check(STUCK_AFTER_MS)).toEqual({ ready: false, detail: 'raw/1 is stuck at 5 of 12 for 30 s' })
  })

  test('K2: does not say that a partition moves which an open transaction holds, and names it', () => {
    const watch = new ProgressWatch()
    const observe = (t: number): void => {
      watch.observe('raw/0', t, t, t, t)
      // Everything that may be read has been read, but the log continues after the open transaction.
      watch.observe('raw/3', 7, 7, t, 100 + t)
    }
    for (let t = 0; t <= 4_000; t += 1_000) observe(t)
    expect(watch.check(4_000)).toEqual({ ready: true, detail: '2 partitions move' })
    for (let t = 5_000; t <= 12_000; t += 1_000) observe(t)
    expect(watch.check(12_000)).toEqual({
      ready: true,
      detail: '1 of 2 partitions move; raw/3 is held at 7 by an open transaction for 12 s',
    })
    observe(30_000)
    const held = { ready: false, detail: 'raw/3 is held at 7 by an open transaction for 30 s' }
    expect(watch.check(STUCK_AFTER_MS)).toEqual(held)
    watch.observe('raw/3', 7, 30_000, 31_000, 30_100)
    watch.observe('raw/3', 30_100, 30_100, 32_000, 30_100)
    expect(watch.check(32_000).ready).toBe(true)
  })

  test('is ready again as soon as the position moves, either way, or the partition is given away', () => {
    const watch = new ProgressWatch()
    watch.observe('raw/0', 5, 9, 0)
    watch.observe('raw/1', 5, 9, 0)
    expect(watch.check(60_000).ready).toBe(false)
    watch.observe('raw/0', 6, 9, 60_000)
    watch.forget('raw/1')
    expect(watch.check(60_000).ready).toBe(true)
    watch.observe('raw/0', 2, 9, 95_000)
    expect(watch.check(95_000).ready).toBe(true)
  })

  test('counts from when something came to read, not from the last movement', () => {
    const watch = new ProgressWatch()
    watch.observe('raw/0', 5, 5, 0)
    watch.observe('raw/0', 5, 6, 100_000)
    expect(watch.check(100_000 + STUCK_AFTER_MS - 1).ready).toBe(true)
    expect(watch.check(100_000 + STUCK_AFTER_MS).ready).toBe(false)
  })
})
