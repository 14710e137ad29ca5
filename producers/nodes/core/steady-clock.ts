// Event time that never runs backwards: the monotonic clock plus an offset. A wall clock that is ahead (it was set, or
// the machine slept) is followed at once. One that stepped back is paid off: event time runs at half speed until both
// agree again, so it keeps increasing and a wrong clock does not stay wrong for ever. Steps are counted for the
// diagnostics.

/** Between two readings of both clocks less than this is jitter, not a step. */
const STEP_MIN_MS = 20

export class SteadyClock {
  #offset: number
  #lastMono: number
  /** Wall minus monotonic time at the last look. */
  #difference: number
  #stepsMs = 0

  /** @param floorMs event time starts above it: the last one given before a restart */
  constructor(monoMs: number, wallMs: number, floorMs: number) {
    this.#offset = Math.max(wallMs, floorMs + 1) - monoMs
    this.#lastMono = monoMs
    this.#difference = wallMs - monoMs
  }

  /** Sum of the steps of the wall clock, ms; negative when it stepped back. */
  get stepsMs(): number {
    return this.#stepsMs
  }

  /** Looks at both clocks. */
  observe(monoMs: number, wallMs: number): void {
    const difference = wallMs - monoMs
    const change = difference - this.#difference
    if (Math.abs(change) >= STEP_MIN_MS) this.#stepsMs += change
    this.#difference = difference
    const ahead = this.#offset - difference
    const elapsed = monoMs - this.#lastMono
    this.#offset -= ahead > 0 ? Math.min(ahead, elapsed / 2) : ahead
    this.#lastMono = monoMs
  }

  /** Event time of a monotonic time, ms, not rounded. */
  at(monoMs: number): number {
    return monoMs + this.#offset
  }
}
