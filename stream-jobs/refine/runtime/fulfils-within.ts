// Waiting for something with a bound, without losing what it waits for.
import type { Clock } from '../../../platform/clock.ts'

/** True when the promise was fulfilled within the time; false when it was rejected, or the time is up. */
export async function fulfilsWithin(promise: Promise<unknown>, ms: number, clock: Clock): Promise<boolean> {
  const timer = new AbortController()
  const no = (): boolean => false
  const isIn = await Promise.race([promise.then(() => true, no), clock.sleep(ms, timer.signal).then(no, no)])
  timer.abort()
  return isIn
}
