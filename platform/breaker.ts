// A circuit breaker: after enough outages it opens, and nothing is tried until a given time; then one probe goes
// through, which closes it or opens it again. Immutable states and plain functions, time as an argument, so every rule
// is a line in a table of tests. (cockatiel and opossum are well kept, but wrap the call, read the clock and set timers
// themselves; the sink has to know the state around the call, to pause partitions and to say so in its readiness.)
//
//   closed ──N outages in a row, or a share of the latest outcomes──► open ──its time has come──► half-open
//     ▲                                                                ▲                            │  │
//     └───────────────────────────── the probe succeeds ───────────────┼────────────────────────────┘  │
//                                                                      └──────── the probe fails ──────┘

export type BreakerState =
  | {
      readonly kind: 'closed'
      /** Outages since the latest success. */
      readonly inARow: number
      /** Latest outcomes, oldest first; true: an outage. At most `window`. */
      readonly outcomes: readonly boolean[]
    }
  | { readonly kind: 'open'; readonly probeAtMs: number; readonly failedProbes: number }
  | { readonly kind: 'half-open'; readonly failedProbes: number }

export interface BreakerPolicy {
  /** Outages in a row that open it. */
  readonly inARow: number
  /** Outcomes looked back on; the share counts once there are this many. */
  readonly window: number
  /** Share of outages among them that opens it, (0, 1]. */
  readonly share: number
}

export const CLOSED: BreakerState = { kind: 'closed', inARow: 0, outcomes: [] }

/** Lets time pass: an open breaker whose time has come asks for a probe. */
export function atTime(state: BreakerState, nowMs: number): BreakerState {
  if (state.kind !== 'open' || nowMs < state.probeAtMs) return state
  return { kind: 'half-open', failedProbes: state.failedProbes }
}

/** What was tried succeeded. */
export function afterSuccess(state: BreakerState, policy: BreakerPolicy): BreakerState {
  switch (state.kind) {
    case 'closed':
      return { kind: 'closed', inARow: 0, outcomes: remember(state.outcomes, false, policy.window) }
    case 'half-open':
      return CLOSED
    case 'open':
      throw new Error('an open breaker lets nothing through, so nothing can succeed')
  }
}

/**
 * What was tried met an outage.
 * @param probeAtMs when the next probe may go, should the breaker be open after this
 */
export function afterOutage(state: BreakerState, probeAtMs: number, policy: BreakerPolicy): BreakerState {
  switch (state.kind) {
    case 'closed': {
      const inARow = state.inARow + 1
      const outcomes = remember(state.outcomes, true, policy.window)
      return inARow >= policy.inARow || isTooMany(outcomes, policy)
        ? { kind: 'open', probeAtMs, failedProbes: 0 }
        : { kind: 'closed', inARow, outcomes }
    }
    case 'half-open':
      return { kind: 'open', probeAtMs, failedProbes: state.failedProbes + 1 }
    case 'open':
      throw new Error('an open breaker lets nothing through, so nothing can fail')
  }
}

const remember = (outcomes: readonly boolean[], outcome: boolean, window: number): boolean[] =>
  [...outcomes, outcome].slice(-window)

const isTooMany = (outcomes: readonly boolean[], { window, share }: BreakerPolicy): boolean =>
  outcomes.length >= window && outcomes.filter(Boolean).length >= share * window
