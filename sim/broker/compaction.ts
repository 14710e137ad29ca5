// What the log cleaner leaves of a partition: the last committed record of every key, at its old offset. The newest
// batch (standing in for the active segment) and everything after the last stable offset stay as they are; batches that
// have lost all their records are removed, so the log has gaps in its offsets.
// Source: org.apache.kafka.storage.internals.log.Cleaner.
import { HEADER_BYTES, RecordBatch } from '../../platform/kafka/record-batch/record-batch.ts'
import { readVarint, varintEnd } from '../../platform/kafka/record-batch/varint.ts'
import { withRecords } from './batch.ts'
import type { PartitionLog, StoredBatch } from './log.ts'

export function compactLog(log: PartitionLog): void {
  const { batches, lastStableOffset } = log
  const active = batches.at(-1)
  const closed = batches.filter((batch) => batch !== active && batch.lastOffset < lastStableOffset)
  const last = lastOffsets(log, closed)
  const cleaned = new Map(closed.map((batch) => [batch, cleanedBatch(batch, last)]))
  log.replace(batches.flatMap((batch) => (cleaned.has(batch) ? (cleaned.get(batch) ?? []) : batch)))
}

/** For every key, the offset of its last committed record; the cleaner ignores the active segment. */
function lastOffsets(log: PartitionLog, closed: readonly StoredBatch[]): Map<string, number> {
  const last = new Map<string, number>()
  for (const stored of closed) {
    if (stored.control || log.fateOf(stored) !== 'committed') continue
    const batch = new RecordBatch(stored.bytes)
    for (let i = 0; i < batch.count; i += 1) last.set(keyOf(batch, i), batch.offset(i))
  }
  return last
}

const keyOf = (batch: RecordBatch, i: number): string => batch.key(i)?.toString('latin1') ?? ''

function cleanedBatch(stored: StoredBatch, last: ReadonlyMap<string, number>): StoredBatch | null {
  // Markers stay: a reader needs them as long as records of their transaction may remain.
  if (stored.control) return stored
  const batch = new RecordBatch(stored.bytes)
  const all = recordsOf(stored.bytes)
  const kept = all.filter((_, i) => last.get(keyOf(batch, i)) === batch.offset(i))
  if (kept.length === all.length) return stored
  return kept.length === 0 ? null : { ...stored, bytes: withRecords(stored.bytes, HEADER_BYTES, kept) }
}

/** The records of an uncompressed batch, each with its length in front. */
function recordsOf(batch: Buffer): Buffer[] {
  const records: Buffer[] = []
  for (let at = HEADER_BYTES; at < batch.length;) {
    const end = varintEnd(batch, at) + readVarint(batch, at)
    records.push(batch.subarray(at, end))
    at = end
  }
  return records
}
