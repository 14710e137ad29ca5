// Fault injection (MI-6): sends that are dropped, acknowledgements that come late, a broker that is out for a while, a
// wall clock that steps. What is to happen is decided here from a seed and the time; the shells carry it out.
import { uniformAt } from './hash.ts'

export interface FaultOptions {
  readonly seed: number
  /** Probability that a node's part of a send is lost on the way. */
  readonly dropProbability: number
  readonly ackDelayMs: number
  /** The broker is out of reach from here, ms since the start, for `outageMs`; 0: never. */
  readonly outageAtMs: number
  readonly outageMs: number
  /** Step put into the wall clock `CLOCK_STEP_AFTER_MS` after the start, ms. */
  readonly clockStepMs: number
}

export const CLOCK_STEP_AFTER_MS = 10_000

export class Faults {
  readonly #options: FaultOptions
  #sends = 0

  constructor(options: FaultOptions) {
    this.#options = options
  }

  get ackDelayMs(): number {
    return this.#options.ackDelayMs
  }

  /** Is the next send lost? Each call decides one. */
  dropsNext(): boolean {
    const { seed, dropProbability } = this.#options
    this.#sends += 1
    return dropProbability > 0 && uniformAt(seed, this.#sends) < dropProbability
  }

  isOut(elapsedMs: number): boolean {
    const { outageAtMs, outageMs } = this.#options
    return outageMs > 0 && elapsedMs >= outageAtMs && elapsedMs < outageAtMs + outageMs
  }

  /** What is added to the wall clock. */
  clockErrorMs(elapsedMs: number): number {
    return elapsedMs >= CLOCK_STEP_AFTER_MS ? this.#options.clockStepMs : 0
  }
}
