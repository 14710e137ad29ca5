// The audit: sent = stored + duplicates + late + dead-lettered + in flight, with named gaps, or the name of what is
// missing. Partitions are judged one after another, so memory is bounded by the sensors of one partition (and one number
// per sensor of all).
import type { Config } from '../platform/config.ts'
import type { Kafka } from '../platform/kafka/port.ts'
import { CLEAN, LATE } from '../schemas/topics.ts'
import { cachedSchemas, type FetchSchema } from '../platform/codec/register.ts'
import { Findings } from './core/findings.ts'
import { type Cut, judgePartition, type PartitionRow } from './core/judge.ts'
import type { AuditReport, AuditTable } from './core/report.ts'
import { judgeLogs, judgeSent } from './core/sent.ts'
import { type ExpectedRows, judgeStore } from './core/stored.ts'
import { type Inputs, lanesByPartition, readInputs, topicPartition } from './inputs.ts'
import { PartitionScanner } from './scan.ts'

/**
 * @param onRecords told how many records were read, for a display
 * @param fetchSchema asks the configured registry if not given
 */
export async function audit(
  config: Config,
  kafka: Kafka,
  onRecords: (count: number) => void,
  fetchSchema: FetchSchema = cachedSchemas(config.REGISTRY_URL, config.API_TOKEN),
): Promise<AuditReport> {
  const findings = new Findings()
  const admin = await kafka.admin()
  const reader = await kafka.rangeReader()
  try {
    const inputs = await readInputs(config, admin, findings)
    const scanner = new PartitionScanner(reader, fetchSchema, findings, onRecords)
    const lanes = lanesByPartition(inputs.logs.lanes, inputs.refine.length)
    const stored = new Map<string, ExpectedRows>()
    const rows: PartitionRow[] = []
    for (let partition = 0; partition < inputs.refine.length; partition += 1) {
      const cut = cutOf(inputs, partition)
      const book = await scanner.scan(inputs.ranges, cut)
      rows.push(judgePartition(book, cut, findings))
      judgeSent(book, lanes.get(partition) ?? [], cut.starts.raw === 0, findings)
      for (const { key, stored: count, refused } of book.sensors.values())
        if (count + refused > 0) stored.set(key, { stored: count, refused })
    }
    return report(inputs, rows, stored, findings)
  } finally {
    await Promise.allSettled([admin.close(), reader.close()])
  }
}

function cutOf({ refine, ranges, store }: Inputs, partition: number): Cut {
  const { ledger, committed, isStill } = refine[partition]
  const stored = (topic: string): number => store?.offsets.get(topicPartition(topic, partition)) ?? 0
  return {
    partition,
    ledger,
    committed: committed ?? ranges.raw[partition].start,
    isStill,
    starts: {
      raw: ranges.raw[partition].start,
      clean: ranges.clean[partition].start,
      late: ranges.late[partition].start,
      dlq: ranges.dlq[partition].start,
    },
    stored: { clean: stored(CLEAN), late: stored(LATE) },
  }
}

function report(
  { logs, store, ranges }: Inputs,
  rows: readonly PartitionRow[],
  stored: ReadonlyMap<string, ExpectedRows>,
  findings: Findings,
): AuditReport {
  const sum = (of: (row: PartitionRow) => number): number => rows.reduce((total, row) => total + of(row), 0)
  const toRaw = judgeLogs(logs.accounts, findings)
  const isWhole = [...ranges.clean, ...ranges.late].every(({ start }) => start === 0)
  const accepted = logs.accounts.reduce((total, log) => total + log.accepted, 0)
  const table: AuditTable = {
    raw: sum((row) => row.raw),
    clean: sum((row) => row.clean),
    duplicate: sum((row) => row.duplicate),
    late: sum((row) => row.late),
    deadLettered: sum((row) => row.deadLettered),
    letters: {
      open: sum((row) => row.letters.open),
      replayed: sum((row) => row.letters.replayed),
      dropped: sum((row) => row.letters.dropped),
    },
    control: sum((row) => row.control),
    buffered: sum((row) => row.buffered),
    sent: logs.accounts.length === 0 ? null : { logs: logs.accounts.length, accepted },
    inFlight: {
      toRaw,
      toRefine: sum((row) => row.inFlight),
      toStore: store === null ? 0 : sum((row) => row.towardsStore),
    },
    store: store === null ? null : judgeStore(stored, store.counts, isWhole, findings),
    partitions: rows,
  }
  const { gaps, gapCount, gapSeqs, problems, problemCount, notes } = findings
  return { balanced: problemCount === 0, table, gaps, gapCount, gapSeqs, problems, problemCount, notes }
}
