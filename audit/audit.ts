// The audit: sent = stored + duplicates + late + dead-lettered + in flight, with named gaps, or the name of what is
// missing. It always ends with a report: a part that cannot be read is reported as a problem, and the rest is still
// compared. Logs are read first (so raw is never older than they are), then the store with its offsets, then Kafka.
//
// Memory: partitions are judged one after another, so it is bounded by the readings of one partition (core/book.ts), plus
// about 100 bytes per sensor for the store and 16 per record of the order.
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../platform/config.ts'
import { KafkaError } from '../platform/errors.ts'
import type { Kafka } from '../platform/kafka/port.ts'
import { ANOMALIES, CLEAN, EXTENTS, LATE, ORDER } from '../schemas/topics.ts'
import { cachedSchemas, type FetchSchema } from '../platform/codec/register.ts'
import { AnomalyScanner } from './anomalies.ts'
import { allExtents, Extents, judgeOrdered } from './core/extents.ts'
import { Findings } from './core/findings.ts'
import { type Cut, judgePartition, type PartitionRow } from './core/judge.ts'
import { type AuditReport, type AuditTable, NO_ROWS } from './core/report.ts'
import { judgeLogs, judgeSent } from './core/sent.ts'
import type { StoreTotals } from './core/stored.ts'
import { type Inputs, readInputs, type SequencerState, type Sleep, topicPartition } from './inputs.ts'
import { lanesByPartition, type Logs, readLogs } from './logs.ts'
import { findOpenTransactions } from './open-transactions.ts'
import { OrderScanner } from './order.ts'
import { MovedReplays } from './core/moved-replays.ts'
import { PartitionScanner } from './scan.ts'
import { judgeSnapshots } from './snapshots.ts'
import { AuditedStore } from './store.ts'
import { StoreComparison } from './store-comparison.ts'
import { judgeTopics } from './topics.ts'

export interface AuditOptions {
  /** Called with the number of records read so far, for progress display. */
  readonly onRecords?: (count: number) => void
  /** Defaults to the configured registry. */
  readonly fetchSchema?: FetchSchema
  readonly sleep?: Sleep
  /** Rereads whatever differs in the store, to name the reading and the cell. */
  readonly deep?: boolean
}

interface Judged {
  readonly rows: readonly PartitionRow[]
  readonly store: StoreTotals | null
}

export async function audit(config: Config, kafka: Kafka, options: AuditOptions = {}): Promise<AuditReport> {
  const findings = new Findings()
  const logs = readLogs(config.DATA_DIR, findings)
  const store = await AuditedStore.open(config, findings)
  const judged = await judgeKafka(config, kafka, logs, store, options, findings).finally(async () => {
    await store?.compareCounters()
    await store?.close()
  })
  const toRaw = judged === null ? 0 : judgeLogs(logs.accounts, findings)
  const { rows } = judged ?? NO_ROWS
  const sum = (of: (row: PartitionRow) => number): number => rows.reduce((total, row) => total + of(row), 0)
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
    store: judged?.store ?? null,
    partitions: rows,
  }
  const { gaps, gapCount, gapSeqs, problems, problemCount, notes } = findings
  return { balanced: problemCount === 0, table, gaps, gapCount, gapSeqs, problems, problemCount, notes }
}

/** Null if the broker cannot be reached. */
async function judgeKafka(
  config: Config,
  kafka: Kafka,
  logs: Logs,
  store: AuditedStore | null,
  options: AuditOptions,
  findings: Findings,
): Promise<Judged | null> {
  const { onRecords = () => undefined, sleep = (ms) => delay(ms), deep = false } = options
  const fetchSchema = options.fetchSchema ?? cachedSchemas(config.REGISTRY_URL, config.API_TOKEN)
  const closing: { close(): Promise<void> }[] = []
  try {
    const admin = await kafka.admin()
    closing.push(admin)
    const reader = await kafka.rangeReader()
    closing.push(reader)
    const inputs = await readInputs(config, admin, sleep, findings)
    const { ranges, sequencer } = inputs
    const partitions = inputs.refine.length
    judgeTopics(inputs, store?.offsets ?? null, findings)
    await judgeSnapshots({ admin, reader, fetchSchema, group: config.REFINE_GROUP }, inputs.refine, findings)
    const held = await findOpenTransactions(admin, config.REFINE_GROUP, inputs, Date.now(), findings)
    const scanner = new PartitionScanner(reader, fetchSchema, findings, onRecords)
    const orders = new OrderScanner(reader, fetchSchema, findings)
    const anomalies = new AnomalyScanner(reader, fetchSchema, findings)
    const nextSequence = ranges.order.length === 0 ? null : sequencer.reduce<number | null>(greatestNext, null)
    const ordered = await orders.readOrder(ranges.order[0] ?? { start: 0, end: 0 }, partitions, nextSequence)
    if (!inputs.isSequencerKnown && ordered.some(({ length }) => length > 0))
      findings.problem(
        'OFFSET_MISSING',
        `group ${config.SEQUENCER_GROUP} has no committed offsets for ${EXTENTS}, although ${ORDER} is not empty: they were deleted or have expired`,
      )
    const lanes = lanesByPartition(logs.lanes, partitions)
    const moved = new MovedReplays()
    const stored = new StoreComparison(partitions)
    const rows: PartitionRow[] = []
    for (let partition = 0; partition < partitions; partition += 1) {
      const cut = cutOf(inputs, store, held.outputs, partition)
      const extents = await orders.readExtents(ranges.extents[partition], partition)
      const reached = sequencer[partition]?.cleanEnd
      const { all, knownFrom } = allExtents(
        extents,
        ordered[partition],
        ranges.extents[partition].start,
        reached ?? Infinity,
      )
      const book = await scanner.scan(ranges, cut, all, knownFrom)
      const storedAnomalies = store?.offsets.get(topicPartition(ANOMALIES, partition)) ?? 0
      book.counts.anomalies = await anomalies.scan(
        partition,
        ranges.anomalies[partition],
        storedAnomalies,
        book.refusedBySink,
      )
      judgeOrdered(ordered[partition], extents, partition, reached ?? 0, findings)
      ordered[partition] = new Extents()
      rows.push(judgePartition(book, cut, findings))
      if (book.isComplete)
        judgeSent(
          book,
          lanes.get(partition) ?? [],
          { isWhole: cut.starts.raw === 0, held: held.raw[partition] ?? 0 },
          findings,
        )
      moved.collect(book, cut.starts.raw, findings)
      stored.collect(book, cut)
    }
    await stored.strays.judge(scanner, ranges, findings)
    moved.judge(findings)
    if (store === null) return { rows, store: null }
    await anomalies.judge(store, ranges.anomalies, {
      isWhole: ranges.anomalies.every(({ start }) => start === 0),
      deep,
    })
    const isComplete = scanner.hasReadAll && inputs.hasOutputs
    return { rows, store: await stored.judge({ store, scanner, ranges, isComplete, deep }, findings) }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    findings.problem('BROKER_UNAVAILABLE', `${brokerHint(config)}: ${error.message}`)
    return null
  } finally {
    await Promise.allSettled(closing.map((one) => one.close()))
  }
}

const brokerHint = ({ KAFKA_BROKERS }: Config): string =>
  `Kafka at ${String(KAFKA_BROKERS)} cannot be read (start it by "plumbline up", or set KAFKA_BROKERS)`

function cutOf(
  { refine, ranges }: Inputs,
  store: AuditedStore | null,
  held: ReadonlySet<number>,
  partition: number,
): Cut {
  const { ledger, committed, isStill } = refine[partition]
  const stored = (topic: string): number => store?.offsets.get(topicPartition(topic, partition)) ?? 0
  return {
    partition,
    ledger,
    hasCommitted: committed !== null,
    isHeld: held.has(partition),
    committed: committed ?? ranges.raw[partition].start,
    isStill,
    starts: {
      raw: ranges.raw[partition].start,
      clean: ranges.clean[partition].start,
      late: ranges.late[partition].start,
      dlq: ranges.dlq[partition].start,
      anomalies: ranges.anomalies[partition].start,
    },
    stored: { clean: stored(CLEAN), late: stored(LATE) },
    rowsSince: store?.rowsSince ?? -Infinity,
  }
}

const greatestNext = (greatest: number | null, at: SequencerState | null): number | null =>
  at === null ? greatest : Math.max(greatest ?? 0, at.nextSequence)
