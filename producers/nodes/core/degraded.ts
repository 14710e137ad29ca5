// When a node calls itself degraded (MI-3): its ring is nearly full, readings have overflowed into the log, or the
// broker pushes back. It recovers with hysteresis, so that a fill that hovers at the bound does not flap.

export interface Pressure {
  /** Fill of the ring, 0 to 1. */
  readonly ringFill: number
  /** Accepted readings are in the log alone. */
  readonly behindRing: boolean
  /** Sends that failed in a row. */
  readonly failures: number
  /** How long the send under way has been going on, ms; 0 where none is. The client retries inside one send. */
  readonly sendingMs: number
}

/** The ring counts as near capacity from here on, and as relieved below the second. */
export const DEGRADED_ABOVE = 0.8
export const RELIEVED_BELOW = 0.5
/** One failed send may be chance; two in a row are push-back, and so is one that takes so long. */
export const FAILURES_MIN = 2
export const SLOW_SEND_MS = 1_000

/** The next state, from the present one. */
export function nextDegraded(degraded: boolean, { ringFill, behindRing, failures, sendingMs }: Pressure): boolean {
  if (behindRing || failures >= FAILURES_MIN || sendingMs >= SLOW_SEND_MS) return true
  if (degraded) return ringFill >= RELIEVED_BELOW || failures > 0
  return ringFill >= DEGRADED_ABOVE
}
