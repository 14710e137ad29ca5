// What an audit finds: problems (something is not accounted for), gaps (missing sequence numbers; listed, but not a
// problem by themselves) and notes (what could not be checked, and why). Lists are bounded, totals are not.

/** More than anyone will read; the totals cover the rest. */
const PROBLEMS_MAX = 200
const GAPS_MAX = 1_000

/**
 * Every code and its meaning. faults.test.ts plants a fault for each.
 *
 * LOG_CORRUPT          a write-ahead log is damaged before its durable end
 * FOREIGN_OFFSET       refine's committed offset carries no ledger
 * OFFSET_MISSING       refine or the sequencer has no committed offset although it has written
 * SNAPSHOT_MISSING     the snapshot from which refine would restore its state is not there
 * UNREADABLE           a record of clean, late, anomalies, extents, order or the dead letters is not a valid one
 * TWICE                a reading is in clean or late more often than in raw, or in clean twice
 * CHANGED              clean, late or a dead letter has different bytes from the raw record it came from
 * CONFLICT             raw has the same sensor, epoch and seq with different bytes, and those bytes are in no output
 * TIME_NOT_INCREASING  the event time of a sensor does not increase in clean
 * LEDGER_UNBALANCED    refine's counters do not add up
 * LEDGER_DIFFERS       refine's counters do not match what the topics hold
 * BEYOND_LEDGER        the topics hold more than refine has counted
 * MISSING              a reading is in raw and in no output
 * BUFFER_DIFFERS       refine buffers more readings than can be found
 * NOT_DEAD_LETTERED    a raw record is not a valid reading and has no dead letter
 * NOT_IN_RAW           an output, or an accepted reading, has no record in raw
 * REPLAYED_TWICE       a dead letter was replayed more than once
 * REPLAY_MISSING       a dead letter is marked as replayed and is not in raw
 * NOT_IN_STORE         the store lacks readings
 * STORE_EXCESS         the store has readings that neither clean nor late has
 * STORE_DIFFERS        the store's times, values or labels differ from clean and late
 * STORE_COUNTERS       the store's own counters do not match its rows
 * ANOMALIES_DIFFER     the store's anomalies differ from telemetry.anomalies
 * IN_NO_EXTENT         a record of clean is in no extent
 * EXTENT_OVERLAP       two extents of a partition share records
 * EXTENT_DIFFERS       an extent's count does not match its records in clean
 * ORDER_INCONSISTENT   the sequence of the total order has a gap or a repetition
 * ORDER_DIFFERS        the total order does not match the extents that exist
 * REMOVED_UNREAD       records were removed from a topic before the next stage read them
 * TOPIC_CUT            a topic ends before an offset already read
 * TOPIC_MISSING        a topic does not exist
 * PARTITIONS_DIFFER    topics that must have equal partition counts do not
 * TOPIC_UNREADABLE     a partition of a topic cannot be read
 * BROKER_UNAVAILABLE, REGISTRY_UNAVAILABLE, STORE_UNAVAILABLE   nothing could be compared with it
 */
export const PROBLEM_CODES = [
  'LOG_CORRUPT',
  'FOREIGN_OFFSET',
  'OFFSET_MISSING',
  'SNAPSHOT_MISSING',
  'UNREADABLE',
  'TWICE',
  'CHANGED',
  'CONFLICT',
  'TIME_NOT_INCREASING',
  'LEDGER_UNBALANCED',
  'LEDGER_DIFFERS',
  'BEYOND_LEDGER',
  'MISSING',
  'BUFFER_DIFFERS',
  'NOT_DEAD_LETTERED',
  'NOT_IN_RAW',
  'REPLAYED_TWICE',
  'REPLAY_MISSING',
  'NOT_IN_STORE',
  'STORE_EXCESS',
  'STORE_DIFFERS',
  'STORE_COUNTERS',
  'ANOMALIES_DIFFER',
  'IN_NO_EXTENT',
  'EXTENT_OVERLAP',
  'EXTENT_DIFFERS',
  'ORDER_INCONSISTENT',
  'ORDER_DIFFERS',
  'REMOVED_UNREAD',
  'TOPIC_CUT',
  'TOPIC_MISSING',
  'PARTITIONS_DIFFER',
  'TOPIC_UNREADABLE',
  'BROKER_UNAVAILABLE',
  'REGISTRY_UNAVAILABLE',
  'STORE_UNAVAILABLE',
] as const

export type ProblemCode = (typeof PROBLEM_CODES)[number]

export interface Problem {
  /** Stable, for scripts. */
  readonly code: ProblemCode
  /** Names the place: topic, partition and offset, or sensor, epoch and seqs. */
  readonly message: string
}

/** Sequence numbers from–to of one sensor and epoch that are missing in raw. */
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
  /** Sequence numbers in all gaps. */
  gapSeqs = 0

  problem(code: ProblemCode, message: string): void {
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
