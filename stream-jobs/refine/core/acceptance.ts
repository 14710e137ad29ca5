// Why a well-formed reading is rejected: it still takes its place in the order, so that nothing waits for it.
// And why a key is in the wrong partition: otherwise two partitions could carry one sensor, each with its own order.
import type { ReadingScanner } from '../../../platform/codec/reading-scanner.ts'
import { partitionOf } from '../../../platform/kafka/partitioner.ts'
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { METRICS } from '../../../schemas/metrics.ts'
import type { Problem } from './outputs.ts'
import type { CoreSettings } from './settings.ts'

/** @param now arrival time of the reading that was just scanned, ms */
export function contentProblem(
  { ts, invalidMetric, metrics }: ReadingScanner,
  now: number,
  { futureMs, earliestMs }: CoreSettings,
): Problem | null {
  if (ts - now > futureMs)
    return { reason: 'FUTURE_TIME', detail: `ts is ${ts - now} ms ahead of its arrival; the limit is ${futureMs} ms` }
  if (ts < earliestMs) {
    const limit = new Date(earliestMs).toISOString()
    const unit = ts * 1_000 >= earliestMs && ts * 1_000 - now <= futureMs ? '; as seconds it would be acceptable' : ''
    return { reason: 'PAST_TIME', detail: `ts is ${ts} ms (${dateOf(ts)}); the earliest is ${limit}${unit}` }
  }
  if (invalidMetric < 0) return null
  const { name, min, max, unit } = METRICS[invalidMetric]
  return {
    reason: 'METRIC_OUT_OF_BOUNDS',
    detail: `${name} is ${metrics[invalidMetric]}; it must be from ${min} to ${max} ${unit}`,
  }
}

/** A Date ends at year 275760, on both sides. */
const dateOf = (ts: number): string => (Math.abs(ts) <= 8.64e15 ? new Date(ts).toISOString() : 'no date')

/**
 * @param partition where record `i` is
 * @param partitions how many there are; 0: not known, so nothing is wrong
 */
export function partitionProblem(batch: RecordBatch, i: number, partition: number, partitions: number): Problem | null {
  if (partitions === 0) return null
  const right = partitionOf(batch.bytes, batch.keyAt(i), batch.keyLength(i), partitions)
  return right === partition
    ? null
    : {
        reason: 'WRONG_PARTITION',
        detail: `the record is in partition ${partition}; by murmur2, Kafka's default, its key belongs in partition ${right} of ${partitions}. Set the producer's partitioner: librdkafka (C, Python, .NET, PHP, Ruby) partitioner=murmur2_random, Go's sarama NewHashPartitioner with murmur2, kafkajs DefaultPartitioner; and send the reading again`,
      }
}

/** For a reading whose sequence number is already taken. */
export const conflictDetail = ({ epoch, seq, ts }: ReadingScanner): string =>
  `seq ${seq} of epoch ${epoch} was taken by a reading with other bytes; this one's ts is ${ts}. Its log may have lost its tail and given numbers out again; replay this letter as late to store the reading by its ts`
