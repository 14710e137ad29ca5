// What the offsets of the topics alone say: records removed before the next stage had read them, and topics that are not
// as they must be. Cheap, and possible even where records can no longer be read.
import { ANOMALIES, CLEAN, EXTENTS, LATE, ORDER, RAW } from '../schemas/topics.ts'
import type { Findings } from './core/findings.ts'
import { judgeLoss } from './core/losses.ts'
import { type Inputs, topicPartition } from './inputs.ts'

/** @param stored the store's offsets by topic/partition; null: there is no store */
export function judgeTopics(
  { refine, sequencer, sequencerNext, isSequencerKnown, ranges }: Inputs,
  stored: ReadonlyMap<string, number> | null,
  findings: Findings,
): void {
  const isOrderEmpty = ranges.order.every(({ end }) => end === 0)
  for (const [partition, { committed }] of refine.entries()) {
    const judge = (topic: string, reader: string, next: number, countsMarkers: boolean): void => {
      const range = ranges[NAMES[topic]][partition]
      judgeLoss({ topic, partition, range, reader, next, countsMarkers }, findings)
    }
    judge(RAW, 'refine', committed ?? 0, true)
    const next = sequencerNext[partition]
    // A foreign offset says nothing, and is reported; so are missing ones of a sequencer that has run.
    const isTold = next === null ? isSequencerKnown || isOrderEmpty : sequencer[partition] !== null
    if (isTold) judge(EXTENTS, 'the sequencer', next ?? 0, false)
    if (stored !== null)
      for (const topic of [CLEAN, LATE, ANOMALIES])
        judge(topic, 'the store', stored.get(topicPartition(topic, partition)) ?? 0, false)
  }
  if (ranges.order.length > 1)
    findings.problem('PARTITIONS_DIFFER', `${ORDER} has ${ranges.order.length} partitions; it must have one`)
  if (ranges.order.length === 0 && ranges.extents.some(({ end }) => end > 0))
    findings.problem('TOPIC_MISSING', `there is no topic ${ORDER}, although ${EXTENTS} has records`)
}

const NAMES: Readonly<Record<string, 'raw' | 'clean' | 'late' | 'anomalies' | 'extents'>> = {
  [RAW]: 'raw',
  [CLEAN]: 'clean',
  [LATE]: 'late',
  [ANOMALIES]: 'anomalies',
  [EXTENTS]: 'extents',
}
