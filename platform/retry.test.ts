// Retries on a clock that only counts what was slept.
import { describe, expect, test } from 'vitest'
import type { Clock } from './clock.ts'
import { KafkaError } from './errors.ts'
import { pause, retry, type RetryOptions, retryWhile } from './retry.ts'

const BACKOFF = { baseMs: 100, capMs: 400 }

/** Sleeps take no time but are counted. */
function countingClock(): Clock & { readonly slept: number[] } {
  const slept: number[] = []
  const total = (): number => slept.reduce((sum, ms) => sum + ms, 0)
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    if (signal?.aborted === true) return Promise.reject(new Error('aborted'))
    slept.push(ms)
    return Promise.resolve()
  }
  return { slept, now: total, mono: total, sleep }
}

const passing = (): KafkaError => new KafkaError('CLIENT', 'away', { retriable: true })
const lasting = (): KafkaError => new KafkaError('CLIENT', 'refused')

/** Work that fails as often as said, then says how many tries it took. */
function failing(times: number, error: () => unknown = passing): { work: () => Promise<number>; tries: () => number } {
  let tries = 0
  const work = (): Promise<number> => {
    tries += 1
    if (tries > times) return Promise.resolve(tries)
    return Promise.reject(error())
  }
  return { work, tries: () => tries }
}

const optionsOf = (clock: Clock): RetryOptions => ({ backoff: BACKOFF, clock, random: () => 1 })

describe('retry', () => {
  test('waits longer after each failure, up to the cap', async () => {
    const clock = countingClock()
    expect(await retry(failing(4).work, { ...optionsOf(clock), triesMax: 9 })).toBe(5)
    expect(clock.slept).toEqual([100, 200, 400, 400])
  })

  test('gives up after its number of tries, with the last error', async () => {
    const clock = countingClock()
    const { work, tries } = failing(9)
    await expect(retry(work, { ...optionsOf(clock), triesMax: 3 })).rejects.toThrow('away')
    expect(tries()).toBe(3)
    expect(clock.slept).toHaveLength(2)
  })

  test('gives up after its time', async () => {
    const clock = countingClock()
    const { work, tries } = failing(99)
    await expect(retry(work, { ...optionsOf(clock), forMs: 1_000 })).rejects.toThrow('away')
    // 100 + 200 + 400 + 400 passes the deadline: the try after that is the last.
    expect(tries()).toBe(5)
  })

  test.each([
    ['an error that says it lasts', lasting],
    ['an error that says nothing', () => new Error('a bug')],
    ['what is no error at all', () => null],
  ])('does not repeat %s', async (_, error) => {
    const { work, tries } = failing(2, error)
    await expect(retry(work, { ...optionsOf(countingClock()), triesMax: 9 })).rejects.toEqual(error())
    expect(tries()).toBe(1)
  })

  test('a signal ends it with the error that was met', async () => {
    const controller = new AbortController()
    const { work, tries } = failing(9)
    const onFailure = (): void => controller.abort()
    const options = { ...optionsOf(countingClock()), onFailure, signal: controller.signal, triesMax: 9 }
    await expect(retry(work, options)).rejects.toThrow('away')
    expect(tries()).toBe(1)
  })

  test('progress starts the waits from the shortest', async () => {
    const clock = countingClock()
    const { work, tries } = failing(4)
    await retry(work, { ...optionsOf(clock), triesMax: 9, hasProgressed: () => tries() === 3 })
    expect(clock.slept).toEqual([100, 200, 100, 200])
  })

  test('what comes before a retry comes after the wait', async () => {
    const clock = countingClock()
    const seen: string[] = []
    const onFailure = (_: unknown, attempt: number): void => void seen.push(`failed ${attempt}`)
    const beforeRetry = (): Promise<void> => {
      seen.push(`slept ${clock.slept.length}`)
      return Promise.resolve()
    }
    await retry(failing(2).work, { ...optionsOf(clock), triesMax: 9, onFailure, beforeRetry })
    expect(seen).toEqual(['failed 0', 'slept 1', 'failed 1', 'slept 2'])
  })
})

describe('retryWhile', () => {
  test('ends with null once the result is not wanted, even when the work went on failing', async () => {
    const { work, tries } = failing(99)
    expect(await retryWhile(() => tries() < 4, work, optionsOf(countingClock()))).toBeNull()
    expect(tries()).toBe(4)
  })

  test('does not begin when the signal has fired', async () => {
    const { work, tries } = failing(0)
    const options = { ...optionsOf(countingClock()), signal: AbortSignal.abort() }
    expect(await retryWhile(() => true, work, options)).toBeNull()
    expect(tries()).toBe(0)
  })

  test('an error that does not pass is thrown while the result is wanted', async () => {
    await expect(retryWhile(() => true, failing(1, lasting).work, optionsOf(countingClock()))).rejects.toThrow(
      'refused',
    )
  })
})

test('a pause that a signal ends is no error', async () => {
  await pause(60_000, AbortSignal.abort())
})
