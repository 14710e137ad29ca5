// Live and ready. A process is live while its loop answers; it is ready while every check agrees. The check that
// matters most is progress: a consumer whose partition's end moves while its own position does not is stuck, however
// healthy it looks, and readiness says which partition that is.
import { messageOf } from './errors.ts'

export interface CheckResult {
  readonly ready: boolean
  /** For people: what is wrong, or what holds. */
  readonly detail: string
}

export type Check = () => CheckResult

export interface Readiness {
  readonly ready: boolean
  readonly checks: Readonly<Record<string, CheckResult>>
}

export class Health {
  readonly #checks = new Map<string, Check>()

  add(name: string, check: Check): void {
    this.#checks.set(name, check)
  }

  readiness(): Readiness {
    const checks: Record<string, CheckResult> = {}
    for (const [name, check] of this.#checks) checks[name] = resultOf(check)
    return { ready: Object.values(checks).every((result) => result.ready), checks }
  }
}

/** A check that fails says so like any other: readiness must always have an answer. */
function resultOf(check: Check): CheckResult {
  try {
    return check()
  } catch (error) {
    return { ready: false, detail: messageOf(error) }
  }
}

interface Watched {
  position: number
  end: number
  /** When the position last moved or was level with the end, ms. */
  movedAt: number
}

/** How long a partition may have something to read and not move, ms. */
export const STUCK_AFTER_MS = 30_000

/** Watches positions against ends of partitions. Time is given, so tests need no waiting. */
export class ProgressWatch {
  readonly #partitions = new Map<string, Watched>()

  /** Records what is known of a partition: the next offset to read and the end of what may be read. */
  observe(name: string, position: number, end: number, nowMs: number): void {
    const watched = this.#partitions.get(name)
    if (watched === undefined) {
      this.#partitions.set(name, { position, end, movedAt: nowMs })
      return
    }
    if (position !== watched.position || watched.position >= watched.end) watched.movedAt = nowMs
    watched.position = position
    watched.end = end
  }

  /** Stops watching a partition that was given away. */
  forget(name: string): void {
    this.#partitions.delete(name)
  }

  check(nowMs: number): CheckResult {
    const stuck = [...this.#partitions].filter(
      ([, { position, end, movedAt }]) => position < end && nowMs - movedAt >= STUCK_AFTER_MS,
    )
    if (stuck.length === 0) return { ready: true, detail: `${this.#partitions.size} partitions move` }
    const names = stuck.map(
      ([name, { position, end, movedAt }]) =>
        `${name} stands at ${position} of ${end} for ${Math.round((nowMs - movedAt) / 1000)} s`,
    )
    return { ready: false, detail: names.join('; ') }
  }
}
