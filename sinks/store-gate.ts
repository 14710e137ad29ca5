// Sits between the sink and a failing store: when may the next write run? While closed, a failed write is tried
// again after a jittered pause; three outages in a row, or half of the last twenty writes, open the breaker: then
// partitions are paused and probes, one at a time, check whether the store is back. Every retry and every probe is
// paid from one budget, so within T seconds there are at most RETRIES.burst + RETRIES.perSecond · T of them: 35 in a
// minute's brownout. The pause is at most PAUSE.capMs, so the end of an outage is noticed within it.
import { backoffMs } from '../platform/backoff.ts'
import { pause } from '../platform/retry.ts'
import { afterOutage, afterSuccess, atTime, type BreakerState, CLOSED } from '../platform/breaker.ts'
import type { Clock } from '../platform/clock.ts'
import type { CheckResult } from '../platform/health.ts'
import type { Logger } from '../platform/log.ts'
import { fullBudget, takeRetry } from '../platform/retry-budget.ts'
import type { SinkMetrics } from './sink-metrics.ts'

const PAUSE = { baseMs: 100, capMs: 3_000 }
/** One every two seconds on average, with a small burst for hiccups. */
export const RETRIES = { burst: 5, perSecond: 0.5 }
const POLICY = { inARow: 3, window: 20, share: 0.5 }

export interface GateOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly metrics: SinkMetrics
  readonly log: Logger
  /** The breaker has opened (true) or closed. */
  readonly onOpen: (isOpen: boolean) => void
}

export class StoreGate {
  readonly #options: GateOptions
  #breaker: BreakerState = CLOSED
  #budget: ReturnType<typeof fullBudget>
  #outages = 0
  #reason: string | null = null
  #retryAtMs = 0

  constructor(options: GateOptions) {
    this.#options = options
    this.#budget = fullBudget(RETRIES, options.clock.mono())
    options.metrics.breaker(this.#breaker.kind)
  }

  /** True from the breaker's opening until a probe has succeeded: no new rows are wanted. */
  get isOpen(): boolean {
    return this.#breaker.kind !== 'closed'
  }

  /** True from a failed write until the next that succeeds. */
  get isFailing(): boolean {
    return this.#reason !== null
  }

  /** The store has answered, even if only to refuse a row. */
  succeeded(): void {
    this.#outages = 0
    this.#reason = null
    this.#become(afterSuccess(this.#breaker, POLICY))
  }

  /** A write met an outage; `pause` comes next. */
  failed(reason: string): void {
    const nowMs = this.#options.clock.mono()
    const { level, waitMs } = takeRetry(RETRIES, this.#budget, nowMs)
    this.#budget = level
    this.#retryAtMs = nowMs + Math.max(waitMs, backoffMs(PAUSE, this.#outages, this.#options.random))
    this.#outages += 1
    this.#reason = reason
    this.#options.metrics.writeFailures.inc()
    this.#options.log.error({ reason, outages: this.#outages }, 'the store did not take a batch; trying again')
    this.#become(afterOutage(this.#breaker, this.#retryAtMs, POLICY))
  }

  /** Resolves when the next write may run; at once when nothing failed or the signal has fired. */
  async pause(signal: AbortSignal): Promise<void> {
    if (!this.isFailing) return
    const { clock } = this.#options
    for (;;) {
      const leftMs = this.#retryAtMs - clock.mono()
      if (leftMs <= 0 || signal.aborted) break
      await pause(Math.ceil(leftMs), signal, clock)
    }
    if (signal.aborted) return
    this.#become(atTime(this.#breaker, clock.mono()))
    this.#options.metrics.retries.inc()
  }

  check(): CheckResult {
    const { kind } = this.#breaker
    if (this.#reason === null) return { ready: true, detail: `the store takes rows; breaker ${kind}` }
    const leftS = Math.max(0, (this.#retryAtMs - this.#options.clock.mono()) / 1_000).toFixed(1)
    return {
      ready: false,
      detail: `writing to the store fails: ${this.#reason}; breaker ${kind}, ${this.#outages} outages in a row, next try in ${leftS} s`,
    }
  }

  #become(state: BreakerState): void {
    const before = this.#breaker.kind
    this.#breaker = state
    if (state.kind === before) return
    this.#options.metrics.breaker(state.kind)
    this.#options.log.warn({ from: before, to: state.kind }, 'the breaker of the store has changed')
    if (before === 'closed') this.#options.onOpen(true)
    if (state.kind === 'closed') this.#options.onOpen(false)
  }
}
