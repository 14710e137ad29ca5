// What happened in a run, line by line: who did what when. Its hash tells whether two runs were the same; the lines are
// kept only on request, faults always, since they explain a failure.
import type { VirtualClock } from './clock.ts'

const FNV_PRIME = 0x01000193

export class Trace {
  readonly #clock: VirtualClock
  readonly #keep: boolean
  #hash = 0x811c9dc5 | 0
  readonly lines: string[] = []
  readonly faults: string[] = []

  /** @param keep whether the lines are wanted */
  constructor(clock: VirtualClock, keep: boolean) {
    this.#clock = clock
    this.#keep = keep
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  event(who: string, what: string): void {
    const line = `${this.#clock.mono().toFixed(3)} ${who} ${what}`
    let hash = this.#hash
    for (let i = 0; i < line.length; i += 1) hash = Math.imul(hash ^ line.charCodeAt(i), FNV_PRIME)
    this.#hash = hash
    if (this.#keep) this.lines.push(line)
  }

  fault(who: string, what: string): void {
    this.event(who, `FAULT ${what}`)
    this.faults.push(`${this.#clock.mono().toFixed(3)} ${who} ${what}`)
  }
}
