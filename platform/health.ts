// Live and ready. A process is live while its event loop answers; it is ready while every check agrees. The check that
// matters most is progress: a consumer whose partition has something to read while its position does not move is stuck,
// however healthy it looks, and so is one that an open transaction keeps from reading; readiness names the partition.
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

/** A check that throws is not ready: readiness must always have an answer. */
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
  logEnd: number
  /** When the position last moved or was at the end of the log, ms. */
  movedAt: number
}

/** How long a partition may have something to read and not move, ms. */
export const STUCK_AFTER_MS = 30_000
/** How long an open transaction may hold a partition before it is mentioned, ms: those of refine take 100 ms. */
const HELD_AFTER_MS = 5_000

/** Watches positions against ends of partitions. Time is given, so tests need no waiting. */
export class ProgressWatch {
  readonly #partitions = new Map<string, Watched>()

  /**
   * Records what is known of a partition.
   * @param position next offset to read
   * @param end of what may be read: the last stable offset
   * @param logEnd end of the log (high watermark); what is between the two is held back by an open transaction
   */
  observe(name: string, position: number, end: number, nowMs: number, logEnd = end): void {
    const watched = this.#partitions.get(name)
    if (watched === undefined) {
      this.#partitions.set(name, { position, end, logEnd, movedAt: nowMs })
      return
    }
    if (position !== watched.position || watched.position >= watched.logEnd) watched.movedAt = nowMs
    watched.position = position
    watched.end = end
    watched.logEnd = logEnd
  }

  /** Stops watching a partition that was given up. */
  forget(name: string): void {
    this.#partitions.delete(name)
  }

  check(nowMs: number): CheckResult {
    const waiting = [...this.#partitions].filter(
      ([, { position, logEnd, movedAt }]) => position < logEnd && nowMs - movedAt >= HELD_AFTER_MS,
    )
    const stuck = waiting.filter(([, { movedAt }]) => nowMs - movedAt >= STUCK_AFTER_MS)
    const held = waiting.filter(([, { position, end }]) => position >= end)
    const { size } = this.#partitions
    if (stuck.length > 0) return { ready: false, detail: stuck.map((one) => describe(one, nowMs)).join('; ') }
    if (held.length === 0) return { ready: true, detail: `${size} partitions move` }
    const names = held.map((one) => describe(one, nowMs)).join('; ')
    return { ready: true, detail: `${size - held.length} of ${size} partitions move; ${names}` }
  }
}

function describe([name, { position, end, movedAt }]: readonly [string, Watched], nowMs: number): string {
  const since = `for ${Math.round((nowMs - movedAt) / 1000)} s`
  return position < end
    ? `${name} is stuck at ${position} of ${end} ${since}`
    : `${name} is held at ${position} by an open transaction ${since}`
}
