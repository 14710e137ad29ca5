// What an audit reads from Kafka: refine's committed offsets with their ledgers, and the topics' end offsets. While the
// pipeline runs, these are reread until a partition did not change between two reads, so that a ledger matches the
// outputs it counts; whatever comes after this cut is counted as in flight, not as wrong.
import { z } from 'zod'
import type { Config } from '../platform/config.ts'
import type { Admin, CommittedOffset, OffsetRange } from '../platform/kafka/port.ts'
import { type CommitMetadata, readCommitMetadata, type LedgerCounts } from '../schemas/refine.ts'
import { ANOMALIES, CLEAN, DLQ, DLQ_MARKS, EXTENTS, LATE, ORDER, RAW } from '../schemas/topics.ts'
import type { Findings } from './core/findings.ts'
import { judgePartitions } from './core/losses.ts'

export type SnapshotPlace = CommitMetadata['snapshot']

export interface RefineState {
  /** Raw offset; null if nothing is committed. */
  readonly committed: number | null
  readonly ledger: LedgerCounts | null
  /** The snapshot from which refine would restore this state. */
  readonly snapshot: SnapshotPlace | null
  /** Nothing was committed while the end offsets were read. */
  readonly isStill: boolean
}

const NAMES = {
  // Marks before raw: what is marked as replayed must be in raw. The order before the extents that it is made of.
  marks: DLQ_MARKS,
  order: ORDER,
  raw: RAW,
  clean: CLEAN,
  late: LATE,
  dlq: DLQ,
  anomalies: ANOMALIES,
  extents: EXTENTS,
} as const
export type TopicName = keyof typeof NAMES
const DATA = ['raw', 'clean', 'late', 'dlq', 'anomalies', 'extents'] as const

/** What refine writes in one transaction with its offset. */
const OUTPUTS = ['clean', 'late', 'dlq', 'anomalies', 'extents'] as const

/** By topic, then by partition; a missing partition is an empty range. */
export type Ranges = Readonly<Record<TopicName, readonly OffsetRange[]>>

/** What the sequencer has committed of one partition of the extents. */
export interface SequencerState {
  /** Next offset in extents. */
  readonly committed: number
  /** Sequence of the next reading, of whatever partition. */
  readonly nextSequence: number
  /** Offset in clean after the last extent that the order has. */
  readonly cleanEnd: number
}

export interface Inputs {
  readonly refine: readonly RefineState[]
  /** By partition; null: nothing is committed, or something else has committed it. */
  readonly sequencer: readonly (SequencerState | null)[]
  /** Some offset of the sequencer's group is committed. */
  readonly isSequencerKnown: boolean
  /** Next offset in extents, no matter who committed it; null: nothing is committed. */
  readonly sequencerNext: readonly (number | null)[]
  /** Clean and late have all their partitions. */
  readonly hasOutputs: boolean
  readonly ranges: Ranges
}

/** Resolves after the given number of ms. */
export type Sleep = (ms: number) => Promise<void>

/** Attempts at reading all end offsets until every partition is stable; under load a commit comes every 100 ms. */
const READINGS_MAX = 20
/** Longer than a committed transaction's markers take to reach all its partitions. */
const REST_MS = 50
const EMPTY: OffsetRange = { start: 0, end: 0 }

interface Reading {
  readonly sequencer: readonly (CommittedOffset | null)[]
  readonly committed: readonly (CommittedOffset | null)[]
  readonly ranges: Ranges
}

export async function readInputs(config: Config, admin: Admin, sleep: Sleep, findings: Findings): Promise<Inputs> {
  const existing = new Set(await admin.listTopics())
  const read = async (): Promise<Reading> => {
    // Before the order: what the sequencer has committed must be in it.
    const sequencer = existing.has(EXTENTS) ? await admin.committedOffsets(config.SEQUENCER_GROUP, EXTENTS) : []
    const committed = existing.has(RAW) ? await admin.committedOffsets(config.REFINE_GROUP, RAW) : []
    const ranges = {} as Record<TopicName, readonly OffsetRange[]>
    for (const [name, topic] of Object.entries(NAMES) as [TopicName, string][])
      ranges[name] = existing.has(topic) ? await admin.offsetRanges(topic) : []
    return { sequencer, committed, ranges }
  }
  const first = await read()
  let last = first
  judgePartitions(
    DATA.map((name) => [NAMES[name], last.ranges[name].length]),
    findings,
  )
  const partitions = Math.max(...DATA.map((name) => last.ranges[name].length))
  const cuts = new Array<{ reading: Reading; isStill: boolean } | undefined>(partitions).fill(undefined)
  for (let readings = 1; readings < READINGS_MAX && cuts.some((cut) => cut === undefined); readings += 1) {
    await sleep(REST_MS)
    const next = await read()
    for (let partition = 0; partition < partitions; partition += 1)
      if (cuts[partition] === undefined && isSame(last, next, partition))
        cuts[partition] = { reading: next, isStill: true }
    last = next
  }
  const chosen = cuts.map((cut) => cut ?? { reading: last, isStill: false })
  // As of the first reading: what they name must be in the ranges of every partition, whichever reading those are from.
  const ranges = { marks: first.ranges.marks, order: first.ranges.order } as Record<TopicName, readonly OffsetRange[]>
  for (const name of DATA)
    ranges[name] = chosen.map(({ reading }, partition) => reading.ranges[name][partition] ?? EMPTY)
  const refine = chosen.map(({ reading, isStill }, partition) =>
    refineState(partition, reading.committed[partition] ?? null, isStill, findings),
  )
  const sequencer = ranges.extents.map((_, partition) =>
    sequencerState(partition, first.sequencer[partition] ?? null, findings),
  )
  const sequencerNext = ranges.extents.map((_, partition) => first.sequencer[partition]?.offset ?? null)
  const isSequencerKnown = first.sequencer.some((at) => at !== null)
  const [clean, late] = [last.ranges.clean.length, last.ranges.late.length]
  return { refine, sequencer, isSequencerKnown, sequencerNext, hasOutputs: clean > 0 && clean === late, ranges }
}

function isSame(a: Reading, b: Reading, partition: number): boolean {
  if (a.committed[partition]?.offset !== b.committed[partition]?.offset) return false
  return OUTPUTS.every((name) => a.ranges[name][partition]?.end === b.ranges[name][partition]?.end)
}

export const topicPartition = (topic: string, partition: number): string => `${topic}/${partition}`

export function refineState(
  partition: number,
  committed: CommittedOffset | null,
  isStill: boolean,
  findings: Findings,
): RefineState {
  if (committed === null) return { committed: null, ledger: null, snapshot: null, isStill }
  const { offset, metadata } = committed
  const { ledger = null, snapshot = null } = parsed(metadata, partition, offset, findings) ?? {}
  return { committed: offset, ledger, snapshot, isStill }
}

function parsed(metadata: string, partition: number, offset: number, findings: Findings): CommitMetadata | null {
  try {
    return readCommitMetadata(metadata)
  } catch {
    findings.problem(
      'FOREIGN_OFFSET',
      `refine's committed offset ${offset} of raw partition ${partition} carries no ledger: something else has committed it`,
    )
    return null
  }
}

const reached = z.object({ next_sequence: z.number(), clean_end: z.number() })

function sequencerState(partition: number, at: CommittedOffset | null, findings: Findings): SequencerState | null {
  if (at === null) return null
  try {
    const { next_sequence: nextSequence, clean_end: cleanEnd } = reached.parse(JSON.parse(at.metadata))
    return { committed: at.offset, nextSequence, cleanEnd }
  } catch {
    findings.problem(
      'FOREIGN_OFFSET',
      `the sequencer's committed offset ${at.offset} of ${EXTENTS}/${partition} carries no sequence: something else has committed it`,
    )
    return null
  }
}
