// `audit --deep`: names reading, event time and cell where the store differs from clean and late. Only sensors whose
// fingerprints differ are examined, one at a time: memory is bounded by the readings of one sensor.
import type { Config } from '../platform/config.ts'
import type { OffsetRange } from '../platform/kafka/port.ts'
import { partitionOf } from '../platform/kafka/partitioner.ts'
import { openStore } from '../platform/store/open.ts'
import type { StoredReading } from '../platform/store/port.ts'
import { METRICS } from '../schemas/metrics.ts'
import { CLEAN, LATE } from '../schemas/topics.ts'
import type { Findings } from './core/findings.ts'
import { keyText } from './core/records.ts'
import { MergedRow } from './core/merged-row.ts'
import type { PassingRecord } from './core/entries.ts'
import type { StoredRow } from './core/stored.ts'
import { type Ranges, topicPartition } from './inputs.ts'
import type { PartitionScanner } from './scan.ts'
import type { StoreState } from './store.ts'

/** Each is reread from clean, late and the store. */
const SENSORS_MAX = 20
/** Maximum number of differences listed per sensor. */
const NAMED_MAX = 10

export async function nameStored(
  config: Config,
  scanner: PartitionScanner,
  ranges: Ranges,
  store: StoreState,
  suspects: readonly string[],
  findings: Findings,
): Promise<void> {
  for (const key of suspects.slice(0, SENSORS_MAX)) {
    const expected = await expectedRows(scanner, ranges, store, key)
    await compareRows(config, store, key, expected, findings)
  }
  if (suspects.length > SENSORS_MAX)
    findings.note(`--deep has named the differences of ${SENSORS_MAX} of ${suspects.length} sensors`)
}

async function expectedRows(
  scanner: PartitionScanner,
  ranges: Ranges,
  store: StoreState,
  key: string,
): Promise<Map<number, StoredRow>> {
  const bytes = Buffer.from(key, 'latin1')
  const partition = partitionOf(bytes, 0, bytes.length, ranges.raw.length)
  const rows = new Map<number, StoredRow>()
  const late = new Map<number, MergedRow>()
  const each = async (topic: string, range: OffsetRange, visit: (record: PassingRecord) => void): Promise<void> => {
    const end = Math.min(range.end, store.offsets.get(topicPartition(topic, partition)) ?? 0)
    await scanner.eachReading(topic, partition, { start: range.start, end }, (record) => {
      if (record.key === key && record.ts >= store.rowsSince) visit(record)
    })
  }
  await each(LATE, ranges.late[partition], (record) => {
    const known = late.get(record.ts)
    const erased = scanner.erasedBy(record.kind)
    if (known === undefined) late.set(record.ts, new MergedRow(record, erased))
    else known.later(record, erased)
  })
  await each(CLEAN, ranges.clean[partition], (record) => {
    const { ts, epoch, seq, metrics } = record
    const known = late.get(ts)
    if (known === undefined) rows.set(ts, { ts, epoch, seq, metrics: metrics.slice() })
    else known.earlier(record)
  })
  for (const [ts, row] of late) rows.set(ts, row)
  return rows
}

async function compareRows(
  config: Config,
  { rowsSince }: StoreState,
  key: string,
  expected: Map<number, StoredRow>,
  findings: Findings,
): Promise<void> {
  const name = keyText(key)
  const at = name.indexOf('/')
  let named = 0
  const say = (code: 'NOT_IN_STORE' | 'STORE_EXCESS' | 'STORE_DIFFERS', text: string): void => {
    named += 1
    if (named <= NAMED_MAX) findings.problem(code, `${name} ${text}`)
  }
  const store = openStore(config, 'read')
  try {
    await store.read(async (view) => {
      const ref = { tenant: name.slice(0, at), sensor: name.slice(at + 1) }
      for await (const page of view.rows(ref, rowsSince === -Infinity ? undefined : rowsSince)) {
        for (const row of page) {
          const wanted = expected.get(row.ts)
          expected.delete(row.ts)
          if (wanted === undefined)
            say(
              'STORE_EXCESS',
              `ts ${row.ts} (epoch ${row.epoch} seq ${row.seq}) is in the store, and neither in clean nor in late`,
            )
          else for (const difference of differences(wanted, row)) say('STORE_DIFFERS', difference)
        }
      }
    })
  } finally {
    await store.close()
  }
  for (const { ts, epoch, seq } of expected.values())
    say('NOT_IN_STORE', `ts ${ts} (epoch ${epoch} seq ${seq}) is not in the store`)
}

function differences({ ts, epoch, seq, metrics }: StoredRow, row: StoredReading): string[] {
  const at = `epoch ${epoch} seq ${seq} ts ${ts}`
  const found: string[] = []
  if (row.epoch !== epoch || row.seq !== seq) found.push(`${at} is in the store as epoch ${row.epoch} seq ${row.seq}`)
  for (const [i, { name }] of METRICS.entries()) {
    const stored = row.metrics[name] ?? NaN
    if (!Object.is(stored + 0, metrics[i] + 0))
      found.push(`${at}: ${name} is ${text(stored)} in the store; it must be ${text(metrics[i])}`)
  }
  return found
}

const text = (value: number): string => (Number.isNaN(value) ? 'not there' : String(value))
