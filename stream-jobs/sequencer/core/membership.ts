// Who belongs to the cluster, judged by the leader from the log of heartbeats. A member belongs from its first
// heartbeat to its final one, or until it has been silent for the time-out; no member's clock takes part in that.
//
// Silence counts only while a heartbeat could have been seen. The time that measures it passes
//   - while the log's past is read: as the broker's append times pass, as long as anybody is heard
//   - afterwards: as the leader's monotonic time passes, as long as the broker answers the leader
// If neither holds (the broker was down, the leader was frozen, an old log was compacted) there is an interruption:
// that stretch counts for nobody, and everybody gets the full time-out again. So a late leader finds members the
// log shows to be silent, and expires nobody merely because it is late.

import type { View } from '../../../platform/membership/cluster-state.ts'

export type Member = View['members'][number]
export type { View }

/** The relevant part of a heartbeat. */
export interface Beat {
  readonly node_id: string
  readonly kind: string
  readonly final: boolean
}

export interface MembershipOptions {
  readonly leader: string
  /** The members' heartbeat interval. */
  readonly heartbeatMs: number
  readonly timeoutMs: number
  /** The last published view, by any leader; null: there is none. */
  readonly last: View | null
}

/** More than a fleet has; bounds the table and the size of a view. */
export const MEMBERS_MAX = 12_000
const NODE_ID_LENGTH_MAX = 200
const KIND_LENGTH_MAX = 32

interface Entry {
  readonly kind: string
  readonly since: number
  /** Counted time of the last heartbeat, ms. */
  heardAt: number
}

export class Membership {
  readonly #options: MembershipOptions
  readonly #entries = new Map<string, Entry>()
  /** A longer silence of all, or of the broker, is an interruption, ms. */
  readonly #interruptionMs: number
  /** Since when members of the last view belong, unless the log shows that they have left since then. */
  readonly #since: Map<string, number>
  #last: View | null
  #changed = true
  /** Counted time, ms from an arbitrary start. */
  #counted = 0
  /** Counted time of the last interruption: nobody's silence began before it. */
  #resumedAt = 0
  /** Monotonic time of the last poll; null while the log's past is read. */
  #lookedAt: number | null = null
  #newestAppendMs = -Infinity
  #newestSeenAt = 0

  constructor(options: MembershipOptions) {
    this.#options = options
    // Half of what a member may be late by: the other half is for coming back after an interruption that still counts.
    this.#interruptionMs = (options.timeoutMs - options.heartbeatMs) / 2
    this.#last = options.last
    this.#since = new Map(options.last?.members.map(({ node_id, since }) => [node_id, since]))
  }

  get size(): number {
    return this.#entries.size
  }

  /**
   * A heartbeat, in the order of the log.
   * @param appendMs the broker's time
   * @param mono now
   * @returns false when it is ignored: its name is not printable, or the table is full
   */
  hear({ node_id, kind, final }: Beat, appendMs: number, mono: number): boolean {
    if (node_id === '' || node_id.length > NODE_ID_LENGTH_MAX || kind.length > KIND_LENGTH_MAX) return false
    this.#passAppendTime(appendMs, mono)
    if (final) {
      this.leave(node_id, appendMs)
      return true
    }
    if (this.#wasJudged(node_id, appendMs)) return true
    const entry = this.#entries.get(node_id)
    if (entry !== undefined && entry.kind === kind && !this.#isSilent(entry)) {
      entry.heardAt = this.#counted
      return true
    }
    if (entry !== undefined) this.leave(node_id, appendMs)
    if (this.#entries.size >= MEMBERS_MAX) return false
    const since = (this.#lookedAt === null ? this.#since.get(node_id) : undefined) ?? appendMs
    this.#entries.set(node_id, { kind, since, heardAt: this.#counted })
    this.#changed = true
    return true
  }

  /** It has left explicitly, or its record was deleted. */
  leave(node_id: string, appendMs: number): void {
    if (this.#entries.delete(node_id)) this.#changed = true
    // What was before the last view is in that view already.
    if (this.#last === null || appendMs > this.#last.at) this.#since.delete(node_id)
  }

  /** Everything in the log so far has been read. Call it periodically: only this advances time. */
  look(mono: number): void {
    if (this.#lookedAt !== null) this.#pass(mono - this.#lookedAt)
    this.#lookedAt = mono
    for (const [node_id, entry] of this.#entries) {
      if (!this.#isSilent(entry)) continue
      this.#entries.delete(node_id)
      this.#changed = true
    }
  }

  /** The view to publish, or null while members and leader are those of the last one. Asked after a look. */
  proposal(mono: number): View | null {
    // If nobody has been heard nothing is known, not even the broker's time.
    if (!this.#changed || this.#lookedAt === null || this.#newestAppendMs === -Infinity) return null
    const { leader } = this.#options
    const members = [...this.#entries]
      .map(([node_id, { kind, since }]) => ({ node_id, kind, since }))
      .sort((a, b) => a.since - b.since || (a.node_id < b.node_id ? -1 : 1))
    if (this.#last?.leader === leader && areSame(this.#last.members, members)) {
      this.#changed = false
      return null
    }
    // The newest append time and what has passed since it was seen.
    const brokerTime = Math.round(this.#newestAppendMs + (mono - this.#newestSeenAt))
    const at = Math.max(brokerTime, this.#last?.at ?? 0)
    return { view_id: (this.#last?.view_id ?? 0) + 1, at, leader, members }
  }

  /** The proposal is in the log; what has changed meanwhile is in the next one. */
  published(view: View): void {
    this.#last = view
  }

  /**
   * The log keeps the last heartbeat of everybody who was ever killed. Who is missing in the last view although it was
   * heard some time before had been judged to be gone when that view was made.
   */
  #wasJudged(node_id: string, appendMs: number): boolean {
    if (this.#lookedAt !== null || this.#last === null || this.#since.has(node_id)) return false
    return appendMs < this.#last.at - this.#interruptionMs
  }

  #passAppendTime(appendMs: number, mono: number): void {
    // The broker's clock may step back.
    if (appendMs <= this.#newestAppendMs) return
    if (this.#lookedAt === null && this.#newestAppendMs > -Infinity) this.#pass(appendMs - this.#newestAppendMs)
    this.#newestAppendMs = appendMs
    this.#newestSeenAt = mono
  }

  #pass(ms: number): void {
    if (ms > this.#interruptionMs) this.#resumedAt = this.#counted
    else this.#counted += ms
  }

  #isSilent({ heardAt }: Entry): boolean {
    return this.#counted - Math.max(heardAt, this.#resumedAt) > this.#options.timeoutMs
  }
}

const areSame = (a: readonly Member[], b: readonly Member[]): boolean =>
  a.length === b.length &&
  a.every(({ node_id, kind, since }, i) => node_id === b[i].node_id && kind === b[i].kind && since === b[i].since)
