// The audit: sent = stored + duplicates + late + dead-lettered + in flight, with named gaps, or the name of what is
// missing. It always ends with a report: a part that cannot be read is reported as a problem, and the rest is still
// compared. Logs are read first (so raw is never older than they are), then the store with its offsets, then Kafka.
//
// Memory: partitions are judged one after another, so it is bounded by the readings of one partition (core/book.ts), plus
// about 100 bytes per sensor for the store and 16 per record of the order.
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../platform/config.ts'
import { KafkaError } from '../platform/errors.ts'
import type { Admin, Kafka } from '../platform/kafka/port.ts'
import { ANOMALIES, CLEAN, EXTENTS, LATE, ORDER, RAW } from '../schemas/topics.ts'
import { cachedSchemas, type FetchSchema } from '../platform/codec/register.ts'
import { Extents, judgeOrdered } from './core/extents.ts'
import { Findings } from './core/findings.ts'
import { type Cut, judgePartition, type PartitionRow } from './core/judge.ts'
import { judgeLoss } from './core/losses.ts'
import { type AuditReport, type AuditTable, NO_ROWS } from './core/report.ts'
import { judgeLogs, judgeSent } from './core/sent.ts'
import { type ExpectedRows, judgeStore, type StoreTotals } from './core/stored.ts'
import { nameStored } from './deep.ts'
import { type Inputs, readInputs, type Sleep, topicPartition } from './inputs.ts'
import { lanesByPartition, type Logs, readLogs } from './logs.ts'
import { findOpenTransactions } from './open-transactions.ts'
import { OrderScanner } from './order.ts'
import { MovedReplays } from './core/moved-replays.ts'
import { PartitionScanner } from './scan.ts'
import { readStore, type StoreState } from './store.ts'
import { Strays } from './strays.ts'

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
  const store = await readStore(config, findings)
  const judged = await judgeKafka(config, kafka, logs, store, options, findings)
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
  store: StoreState | null,
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
    const partitions = inputs.refine.length
    judgeLosses(inputs, store, findings)
    await judgeUnordered(admin, config.SEQUENCER_GROUP, inputs, findings)
    const held = await findOpenTransactions(admin, inputs, Date.now(), findings)
    const scanner = new PartitionScanner(reader, fetchSchema, findings, onRecords)
    const orders = new OrderScanner(reader, fetchSchema, findings)
    const ordered = await orders.readOrder(inputs.ranges.order[0] ?? { start: 0, end: 0 }, partitions)
    const lanes = lanesByPartition(logs.lanes, partitions)
    const strays = new Strays(partitions)
    const moved = new MovedReplays()
    const expected = new Map<string, ExpectedRows>()
    const rows: PartitionRow[] = []
    for (let partition = 0; partition < partitions; partition += 1) {
      const cut = cutOf(inputs, store, partition)
      const extents = await orders.readExtents(inputs.ranges.extents[partition], partition)
      const book = await scanner.scan(inputs.ranges, cut, extents)
      judgeOrdered(ordered[partition], extents, partition, findings)
      ordered[partition] = new Extents()
      rows.push(judgePartition(book, cut, findings))
      if (book.isComplete)
        judgeSent(
          book,
          lanes.get(partition) ?? [],
          { isWhole: cut.starts.raw === 0, held: held[partition] ?? 0 },
          findings,
        )
      strays.collect(book)
      moved.collect(book, cut.starts.raw, findings)
      for (const sensor of book.sensors.values()) {
        const rows = sensor.expected()
        // A partitioner of its own may have put copies of a sensor's readings here: dead letters, which expect no rows.
        if (rows.fingerprint.rows > 0 || !expected.has(sensor.key)) expected.set(sensor.key, rows)
      }
    }
    await strays.judge(scanner, inputs.ranges, findings)
    moved.judge(findings)
    if (store === null) return { rows, store: null }
    await judgeAnomalies(scanner, inputs, store, findings)
    for (const key of strays.keys) expected.delete(key)
    const stored = new Map([...store.fingerprints].filter(([key]) => !strays.keys.has(key)))
    const isWhole = [...inputs.ranges.clean, ...inputs.ranges.late].every(({ start }) => start === 0)
    const { totals, suspects } = judgeStore(
      { expected, stored, isWhole: isWhole && scanner.hasReadAll, isStill: store.isStill },
      findings,
    )
    if (!isWhole)
      findings.note(
        'clean or late was removed in part: the store may hold more than they do, and values are not compared',
      )
    if (deep && isWhole) await nameStored(config, scanner, inputs.ranges, store, suspects, findings)
    return { rows, store: totals }
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

function cutOf({ refine, ranges }: Inputs, store: StoreState | null, partition: number): Cut {
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
    rowsSince: store?.rowsSince ?? -Infinity,
  }
}

function judgeLosses({ refine, ranges }: Inputs, store: StoreState | null, findings: Findings): void {
  for (const [partition, { committed }] of refine.entries()) {
    const next = committed ?? 0
    judgeLoss(
      { topic: RAW, partition, range: ranges.raw[partition], reader: 'refine', next, countsMarkers: true },
      findings,
    )
    if (store === null) continue
    for (const [topic, range] of [
      [CLEAN, ranges.clean[partition]],
      [LATE, ranges.late[partition]],
      [ANOMALIES, ranges.anomalies[partition]],
    ] as const) {
      const at = store.offsets.get(topicPartition(topic, partition)) ?? 0
      judgeLoss({ topic, partition, range, reader: 'the store', next: at, countsMarkers: false }, findings)
    }
  }
  if (ranges.order.length > 1)
    findings.problem('PARTITIONS_DIFFER', `${ORDER} has ${ranges.order.length} partitions; it must have one`)
  if (ranges.order.length === 0 && ranges.extents.length > 0 && ranges.extents.some(({ end }) => end > 0))
    findings.problem('TOPIC_MISSING', `there is no topic ${ORDER}, although ${EXTENTS} has records`)
}

/** Extents that were removed before the sequencer had read them: their readings have no place in the order. */
async function judgeUnordered(admin: Admin, group: string, { ranges }: Inputs, findings: Findings): Promise<void> {
  if (ranges.extents.length === 0) return
  const committed = await admin.committedOffsets(group, EXTENTS)
  for (const [partition, range] of ranges.extents.entries()) {
    const next = committed[partition]?.offset ?? 0
    const read = { reader: 'the sequencer', next, countsMarkers: false }
    // The offsets are read later than the range: a sequencer that works may be ahead of it.
    if (next < range.start) judgeLoss({ topic: EXTENTS, partition, range, ...read }, findings)
  }
}

/** One row per anomaly: its identity is that of a reading in clean, and a metric. */
async function judgeAnomalies(
  scanner: PartitionScanner,
  { ranges }: Inputs,
  store: StoreState,
  findings: Findings,
): Promise<void> {
  let expected = 0
  let isWhole = true
  for (const [partition, { start, end }] of ranges.anomalies.entries()) {
    isWhole &&= start === 0
    const stored = Math.min(end, store.offsets.get(topicPartition(ANOMALIES, partition)) ?? 0)
    expected += await scanner.count(ANOMALIES, partition, { start, end: stored })
  }
  const { anomalies: rows, isStill } = store
  if (rows < expected || (rows > expected && isWhole && isStill))
    findings.problem(
      'ANOMALIES_DIFFER',
      `the store has ${rows} anomalies; ${ANOMALIES} has ${expected} up to the sink's offsets`,
    )
}
