// Open transactions hide everything after them: the records exist, but no read_committed consumer sees them. What follows
// one in raw is in flight, not missing; the owner of the transaction is named.
import type { Admin, OpenTransaction } from '../platform/kafka/port.ts'
import { CLEAN, DLQ, LATE, RAW } from '../schemas/topics.ts'
import type { Findings } from './core/findings.ts'
import type { Inputs } from './inputs.ts'

/** Longer than any of our transactions lasts; a younger one in the outputs is just work in progress. */
const OLD_MS = 10_000

/** @returns how many offsets of raw cannot be read yet, by partition */
export async function findOpenTransactions(
  admin: Admin,
  { ranges }: Inputs,
  nowMs: number,
  findings: Findings,
): Promise<number[]> {
  const held = ranges.raw.map(() => 0)
  for (const [topic, ends] of [
    [RAW, ranges.raw],
    [CLEAN, ranges.clean],
    [LATE, ranges.late],
    [DLQ, ranges.dlq],
  ] as const) {
    if (ends.every(({ end }) => end === 0)) continue
    const watermarks = await admin.highWatermarks(topic)
    const behind = watermarks.map((end, partition) => end - (ends[partition]?.end ?? end))
    if (behind.every((offsets) => offsets <= 0)) continue
    for (const one of await admin.openTransactions(topic)) {
      if (topic !== RAW && nowMs - one.sinceMs < OLD_MS) continue
      findings.note(describe(one, behind[one.partition] ?? 0))
    }
    if (topic === RAW) for (const partition of held.keys()) held[partition] = Math.max(0, behind[partition] ?? 0)
  }
  return held
}

const describe = (
  { topic, partition, producerId, transactionalId, firstOffset, sinceMs }: OpenTransaction,
  offsets: number,
): string =>
  `an open transaction of producer ${producerId} (${transactionalId === null ? 'no coordinator knows it, it will not end by itself' : `transactional id ${transactionalId}`}) holds back ${topic}/${partition} from offset ${firstOffset} on since ${new Date(sinceMs).toISOString()}: ${offsets} offsets are in flight`
