// Progress on standard error, once a command takes noticeably long.

/** Anyone waiting longer than this wants to see progress. */
const QUIET_MS = 2_000
const EVERY_MS = 1_000

export class Progress {
  readonly #name: string
  readonly #what: string
  readonly #started = performance.now()
  #shownAt = this.#started + QUIET_MS - EVERY_MS
  #count = 0

  /** @param name of the command; @param what is counted, as "records read" */
  constructor(name: string, what: string) {
    this.#name = name
    this.#what = what
  }

  add(count: number): void {
    this.#count += count
    const now = performance.now()
    if (now - this.#shownAt < EVERY_MS) return
    this.#shownAt = now
    const perSecond = Math.round((this.#count / (now - this.#started)) * 1_000)
    process.stderr.write(
      `${this.#name}: ${this.#count.toLocaleString('en')} ${this.#what}, ${perSecond.toLocaleString('en')} a second\n`,
    )
  }
}
