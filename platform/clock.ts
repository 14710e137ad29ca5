// Time as an argument. Shells get a Clock; cores get numbers. Tests and the simulator bring their own.
import { setTimeout as delay } from 'node:timers/promises'

export interface Clock {
  /** Wall time, ms since 1970 UTC; it may step either way. */
  now(): number
  /** Monotonic time, ms since an arbitrary start. */
  mono(): number
  /** Resolves after `ms`; rejects with AbortError when the signal fires. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  mono: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, signal === undefined ? {} : { signal }),
}
