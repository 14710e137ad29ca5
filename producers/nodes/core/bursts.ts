// Bursts of load (EM-1): the sampling rate is multiplied for a while at the beginning of every period.

export interface BurstOptions {
  /** Multiple of the rate during a burst; 1: no bursts. */
  readonly factor: number
  readonly lengthMs: number
  readonly everyMs: number
}

/** The multiple in force `elapsedMs` after the start. The first burst begins after one whole calm stretch. */
export function burstFactor({ factor, lengthMs, everyMs }: BurstOptions, elapsedMs: number): number {
  return elapsedMs % everyMs >= everyMs - lengthMs ? factor : 1
}
