// Open transactions hide everything after them: the records exist, but no read_committed consumer sees them. What follows
// one in raw is in flight, not missing; the owner of the transaction is named.
import type { Admin, OpenTransaction } from '../platform/kafka/port.ts'
import { ANOMALIES, CLEAN, DLQ, LATE, RAW } from '../schemas/topics.ts'
import type { Findings } from './core/findings.ts'
import type { Inputs } from './inputs.ts'

/** Longer than any of our transactions lasts; a younger one of refine in its outputs is just work in progress. */
const OLD_MS = 10_000

export interface Held {
  /** Offsets of raw that cannot be read yet, by partition. */
  readonly raw: readonly number[]
  /** Partitions in which somebody else's transaction hides outputs that refine has counted. */
  readonly outputs: ReadonlySet<number>
}

/** @param group of refine, from which its transactional ids are made */
export async function findOpenTransactions(
  admin: Admin,
  group: string,
  { ranges }: Inputs,
  nowMs: number,
  findings: Findings,
): Promise<Held> {
  let raw = ranges.raw.map(() => 0)
  const outputs = new Set<number>()
  for (const [topic, ends] of [
    [RAW, ranges.raw],
    [CLEAN, ranges.clean],
    [LATE, ranges.late],
    [DLQ, ranges.dlq],
    [ANOMALIES, ranges.anomalies],
  ] as const) {
    if (ends.every(({ end }) => end === 0)) continue
    const watermarks = await admin.highWatermarks(topic)
    const behind = watermarks.map((end, partition) => end - (ends[partition]?.end ?? end))
    if (behind.every((offsets) => offsets <= 0)) continue
    for (const one of await admin.openTransactions(topic)) {
      // What refine has counted was committed: its own next transaction hides nothing of it.
      const isOurs = one.transactionalId === `${group}-${one.partition}`
      if (topic !== RAW && !isOurs) outputs.add(one.partition)
      if (topic !== RAW && isOurs && nowMs - one.sinceMs < OLD_MS) continue
      findings.note(describe(one, behind[one.partition] ?? 0))
    }
    if (topic === RAW) raw = raw.map((_, partition) => Math.max(0, behind[partition] ?? 0))
  }
  return { raw, outputs }
}

const describe = (
  { topic, partition, producerId, transactionalId, firstOffset, sinceMs }: OpenTransaction,
  offsets: number,
): string =>
  `an open transaction of producer ${producerId} (${transactionalId === null ? 'no coordinator knows it, it will not end by itself' : `transactional id ${transactionalId}`}) holds back ${topic}/${partition} from offset ${firstOffset} on since ${new Date(sinceMs).toISOString()}: ${offsets} offsets are in flight`
