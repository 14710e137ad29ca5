// What an audit looks at, read in an order that makes the parts fit while everything runs on: first the logs (so raw is
// never behind them), then the store with its offsets, then refine's committed offsets with their ledgers, at last the
// ends of the topics. What comes later than its cut is counted as in flight, not as wrong.
import { join } from 'node:path'
import type { Config } from '../platform/config.ts'
import { partitionOf } from '../platform/kafka/partitioner.ts'
import type { Admin, CommittedOffset, OffsetRange } from '../platform/kafka/port.ts'
import { describeStore, openStore, storeExists } from '../platform/store/open.ts'
import { listWals } from '../platform/wal/directory.ts'
import { readWalSummary } from '../platform/wal/reader.ts'
import { commitMetadata, type LedgerCounts } from '../schemas/refine.ts'
import { CLEAN, DLQ, DLQ_MARKS, LATE, RAW } from '../schemas/topics.ts'
import type { Findings } from './core/findings.ts'
import { keyOfText } from './core/records.ts'
import type { WalAccount, WalLane } from './core/sent.ts'

export interface Logs {
  readonly accounts: readonly WalAccount[]
  readonly lanes: readonly WalLane[]
}

export interface StoreState {
  /** Next offset per topic/partition: everything below is stored. */
  readonly offsets: ReadonlyMap<string, number>
  /** Rows by key (latin1 text). */
  readonly counts: ReadonlyMap<string, number>
}

export interface RefineState {
  /** Raw offset; null where nothing is committed. */
  readonly committed: number | null
  readonly ledger: LedgerCounts | null
  /** Nothing was committed until the ends of the topics were read. */
  readonly isStill: boolean
}

export interface Inputs {
  readonly logs: Logs
  /** Null where there is none. */
  readonly store: StoreState | null
  readonly refine: readonly RefineState[]
  readonly ranges: Ranges
}

/** By partition; `marks` is empty where nobody has dealt with a dead letter yet. */
export type Ranges = Readonly<Record<'raw' | 'clean' | 'late' | 'dlq' | 'marks', readonly OffsetRange[]>>

export async function readInputs(config: Config, admin: Admin, findings: Findings): Promise<Inputs> {
  const logs = readLogs(config.DATA_DIR, findings)
  const store = await readStore(config, findings)
  const before = await admin.committedOffsets(config.REFINE_GROUP, RAW)
  const topics = await admin.listTopics()
  const ranges = {
    // Before raw: what is marked as replayed must be there.
    marks: topics.includes(DLQ_MARKS) ? await admin.offsetRanges(DLQ_MARKS) : [],
    raw: await admin.offsetRanges(RAW),
    clean: await admin.offsetRanges(CLEAN),
    late: await admin.offsetRanges(LATE),
    dlq: await admin.offsetRanges(DLQ),
  }
  const after = await admin.committedOffsets(config.REFINE_GROUP, RAW)
  const refine = ranges.raw.map((_, partition) =>
    refineState(partition, before[partition] ?? null, after[partition] ?? null, findings),
  )
  return { logs, store, refine, ranges }
}

export const topicPartition = (topic: string, partition: number): string => `${topic}/${partition}`

/** Lanes by the raw partition that their key belongs to. */
export function lanesByPartition(lanes: readonly WalLane[], partitions: number): ReadonlyMap<number, WalLane[]> {
  const byPartition = new Map<number, WalLane[]>()
  for (const lane of lanes) {
    const key = Buffer.from(lane.key, 'latin1')
    const partition = partitionOf(key, 0, key.length, partitions)
    const list = byPartition.get(partition) ?? []
    byPartition.set(partition, list)
    list.push(lane)
  }
  return byPartition
}

export function readLogs(dataDir: string, findings: Findings): Logs {
  const accounts: WalAccount[] = []
  const lanes: WalLane[] = []
  for (const { kind, name, dir } of listWals(dataDir)) {
    const summary = readWalSummary(dir)
    if (summary === null) continue
    const { appendedIndex, acknowledgedIndex } = summary
    if (summary.tail === 'corrupt')
      findings.problem(
        'LOG_CORRUPT',
        `the log in ${join(kind, name)} is damaged before the end of what it had forced to disk`,
      )
    const log: WalAccount = {
      name: `${kind}/${name}`,
      accepted: appendedIndex,
      waiting: appendedIndex - acknowledgedIndex,
      missing: 0,
      missingNames: [],
    }
    accounts.push(log)
    for (const [key, lastSeq] of summary.accepted)
      lanes.push({ log, key: keyOfText(key), epoch: summary.epoch, own: true, count: lastSeq + 1, lastSeq })
    for (const { key, epoch, own, count, lastSeq } of summary.foreign)
      lanes.push({ log, key: keyOfText(key), epoch, own, count, lastSeq })
  }
  return { accounts, lanes }
}

async function readStore(config: Config, findings: Findings): Promise<StoreState | null> {
  if (!(await storeExists(config))) {
    findings.note(`${describeStore(config)} does not exist yet; the audit ends at clean and late`)
    return null
  }
  const store = openStore(config, 'read')
  try {
    return await store.read(async (view) => {
      const progress = await view.progress()
      const counts = await view.countsPerSensor()
      return {
        offsets: new Map(progress.map(({ topic, partition, offset }) => [topicPartition(topic, partition), offset])),
        counts: new Map(counts.map(({ tenant, sensor, count }) => [keyOfText(`${tenant}/${sensor}`), count])),
      }
    })
  } finally {
    await store.close()
  }
}

export function refineState(
  partition: number,
  before: CommittedOffset | null,
  after: CommittedOffset | null,
  findings: Findings,
): RefineState {
  const isStill = before?.offset === after?.offset
  if (before === null) return { committed: null, ledger: null, isStill }
  return { committed: before.offset, ledger: ledgerOf(before.metadata, partition, before.offset, findings), isStill }
}

function ledgerOf(metadata: string, partition: number, offset: number, findings: Findings): LedgerCounts | null {
  try {
    return commitMetadata.parse(JSON.parse(metadata)).ledger
  } catch {
    findings.problem(
      'FOREIGN_OFFSET',
      `refine's committed offset ${offset} of raw partition ${partition} carries no ledger: something else has committed it`,
    )
    return null
  }
}
