// What an audit finds: problems (something is not accounted for), gaps (seqs that never came; named, and no problem by
// themselves) and notes (what could not be checked). Lists are bounded, totals are not.

/** More than anybody reads; the totals tell the rest. */
const PROBLEMS_MAX = 200
const GAPS_MAX = 1_000

export interface Problem {
  /** Stable, for scripts. */
  readonly code: string
  /** Names the place: topic, partition and offset, or sensor, epoch and seqs. */
  readonly message: string
}

/** Seqs from–to of one sensor and epoch that never came to raw. */
export interface Gap {
  readonly sensor: string
  readonly epoch: number
  readonly from: number
  readonly to: number
}

export class Findings {
  readonly problems: Problem[] = []
  readonly gaps: Gap[] = []
  readonly #notes = new Set<string>()
  problemCount = 0
  gapCount = 0
  /** Seqs in all gaps. */
  gapSeqs = 0

  problem(code: string, message: string): void {
    this.problemCount += 1
    if (this.problems.length < PROBLEMS_MAX) this.problems.push({ code, message })
  }

  gap(gap: Gap): void {
    this.gapCount += 1
    this.gapSeqs += gap.to - gap.from + 1
    if (this.gaps.length < GAPS_MAX) this.gaps.push(gap)
  }

  note(text: string): void {
    this.#notes.add(text)
  }

  get notes(): string[] {
    return [...this.#notes]
  }
}
