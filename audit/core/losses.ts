// What offsets alone prove: records removed before the next stage read them, topics that end before an offset already
// read (recreated or truncated), partition counts that differ.
import type { OffsetRange } from '../../platform/kafka/port.ts'
import type { Findings } from './findings.ts'

export interface ReadBy {
  readonly topic: string
  readonly partition: number
  readonly range: OffsetRange
  /** Human-readable: refine, the store. */
  readonly reader: string
  /** The reader's next offset. */
  readonly next: number
  /** The reader counts the broker's own markers as read; a store stops before the last one. */
  readonly countsMarkers: boolean
}

export function judgeLoss({ topic, partition, range, reader, next, countsMarkers }: ReadBy, findings: Findings): void {
  const { start, end } = range
  if (next > end && end > 0) {
    findings.problem(
      'TOPIC_CUT',
      `${topic}/${partition} ends at offset ${end}, and ${reader} has read up to ${next}: the topic was recreated, or cut at its end`,
    )
    return
  }
  const unread = start - next
  if (unread <= 0 || (unread === 1 && !countsMarkers && start === end)) return
  findings.problem(
    'REMOVED_UNREAD',
    `${topic}/${partition} offsets ${next}–${start - 1} were removed (retention, or DeleteRecords) before ${reader} had read them: up to ${unread} records are lost`,
  )
}

/** @param counts by topic, raw first; 0: the topic does not exist */
export function judgePartitions(counts: readonly (readonly [string, number])[], findings: Findings): void {
  for (const [topic, count] of counts) if (count === 0) findings.problem('TOPIC_MISSING', `there is no topic ${topic}`)
  const [[raw, wanted]] = counts
  for (const [topic, count] of counts.slice(1))
    if (count > 0 && wanted > 0 && count !== wanted)
      findings.problem('PARTITIONS_DIFFER', `${raw} has ${wanted} partitions, ${topic} has ${count}`)
}
