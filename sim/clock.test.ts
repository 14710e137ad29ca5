// Virtual time and process lifetimes, which everything else in the simulation relies on.
import { describe, expect, it } from 'vitest'
import { VirtualClock } from './clock.ts'
import { Life } from './life.ts'
import { randomOf } from './random.ts'

const EVENTS_MAX = 1_000
const clockOf = (seed: number): VirtualClock => new VirtualClock(randomOf(seed, 'clock'))

describe('virtual clock', () => {
  it('stands still while promises run, and ends sleeps in the order of their times', async () => {
    const clock = clockOf(1)
    const ended: string[] = []
    const sleeper = async (name: string, ms: number): Promise<void> => {
      await clock.sleep(ms)
      for (let i = 0; i < 50; i += 1) await Promise.resolve()
      ended.push(`${name} at ${clock.mono()}`)
    }
    await clock.run(Promise.all([sleeper('b', 20), sleeper('a', 10), sleeper('c', 3_600_000)]), EVENTS_MAX)
    expect(ended).toEqual(['a at 10', 'b at 20', 'c at 3600000'])
  })

  it('draws the order of sleeps that end together from its seed', async () => {
    const orderOf = async (seed: number): Promise<string> => {
      const clock = clockOf(seed)
      let order = ''
      const names = ['a', 'b', 'c', 'd', 'e', 'f']
      await clock.run(Promise.all(names.map((name) => clock.sleep(5).then(() => (order += name)))), EVENTS_MAX)
      return order
    }
    expect(await orderOf(1)).toBe(await orderOf(1))
    expect(new Set(await Promise.all([1, 2, 3, 4, 5].map(orderOf))).size).toBeGreaterThan(1)
  })

  it('ends a sleep early when its signal fires, as the real one does', async () => {
    const clock = clockOf(1)
    const controller = new AbortController()
    const sleeping = clock.sleep(100, controller.signal).then(
      () => 'slept',
      (error: unknown) => (error as Error).name,
    )
    void clock.sleep(10).then(() => controller.abort())
    expect(await clock.run(sleeping, EVENTS_MAX)).toBe('AbortError')
    expect(clock.mono()).toBe(10)
  })

  it('steps the wall clock, never the monotonic one', () => {
    const clock = clockOf(1)
    const before = clock.now()
    clock.wallOffsetMs -= 5_000
    expect([clock.now() - before, clock.mono()]).toEqual([-5_000, 0])
  })

  it('says so when everything waits and nothing can come, or when there is no end to it', async () => {
    await expect(clockOf(1).run(new Promise(() => undefined), EVENTS_MAX)).rejects.toThrow('everything waits')
    const clock = clockOf(1)
    const forever = (async () => {
      for (;;) await clock.sleep(1)
    })()
    await expect(clock.run(forever, EVENTS_MAX)).rejects.toThrow('1000 events')
  })
})

describe('a process’s life', () => {
  /** What the process does when something happens to it at 25 ms and at 45 ms. */
  async function workOf(at25: (life: Life) => void, at45: (life: Life) => void): Promise<number[]> {
    const clock = clockOf(1)
    const life = new Life('p', clock)
    const beats: number[] = []
    void (async () => {
      for (;;) {
        await life.clock.sleep(10)
        beats.push(clock.mono())
      }
    })()
    const world = async (): Promise<void> => {
      await clock.sleep(25)
      at25(life)
      await clock.sleep(20)
      at45(life)
      await clock.sleep(18)
    }
    await clock.run(world(), EVENTS_MAX)
    return beats
  }
  const nothing = (): void => undefined

  it('continues until it is killed, and never again', async () => {
    expect(
      await workOf(
        (life) => life.kill(),
        (life) => life.thaw(),
      ),
    ).toEqual([10, 20])
    expect(await workOf(nothing, nothing)).toEqual([10, 20, 30, 40, 50, 60])
  })

  it('stands still while it is frozen, and then gets what had come', async () => {
    expect(
      await workOf(
        (life) => life.freeze(),
        (life) => life.thaw(),
      ),
    ).toEqual([10, 20, 45, 55])
  })

  it('calls nobody once it is dead', async () => {
    const life = new Life('p', clockOf(1))
    life.kill()
    let called = false
    void life.call(() => {
      called = true
      return Promise.resolve()
    })
    expect(called).toBe(false)
  })
})
