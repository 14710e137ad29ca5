// Fetching as the broker does it (it delays the answer until there is enough data or the wait expires) and what the client
// makes of it: batches without aborted and control ones, by the same filter as the real adapter.
import { filterAborted } from '../../platform/kafka/kafkajs/wire.ts'
import { type RecordBatch, readRecordBatch } from '../../platform/kafka/record-batch/record-batch.ts'
import type { FetchedRange, PartitionLog } from './log.ts'
import type { Server } from './server.ts'

export interface FetchOf {
  readonly log: PartitionLog
  readonly from: number
  readonly maxBytes: number
}

export interface FetchLimits {
  readonly minBytes: number
  readonly maxWaitMs: number
}

/** Ranges in the order of the requests. @throws KafkaError OFFSET_OUT_OF_RANGE */
export async function fetchRanges(
  server: Server,
  requests: readonly FetchOf[],
  { minBytes, maxWaitMs }: FetchLimits,
): Promise<FetchedRange[]> {
  const { starts, clock } = server
  const until = clock.mono() + maxWaitMs
  for (;;) {
    const ranges = requests.map(({ log, from, maxBytes }) => log.fetch(from, maxBytes))
    const bytes = ranges.reduce((sum, { byteLength }) => sum + byteLength, 0)
    const left = Math.ceil(until - clock.mono())
    if (bytes >= minBytes || left <= 0 || server.starts !== starts) return ranges
    await changeOrTime(server, requests, left)
  }
}

async function changeOrTime(server: Server, requests: readonly FetchOf[], ms: number): Promise<void> {
  const timer = new AbortController()
  const stops: (() => void)[] = []
  const changed = new Promise<void>((resolve) => {
    for (const { log } of requests) stops.push(log.onChange(resolve))
  })
  await Promise.race([changed, server.clock.sleep(ms, timer.signal).catch(() => undefined)])
  for (const stop of stops) stop()
  timer.abort()
}

/** The part of a range that a read_committed reader gets, starting at `from`. */
export function batchesOf({ batches, abortedTransactions }: FetchedRange, from: number): RecordBatch[] {
  const messages = batches.map(({ lastOffset, control, bytes }) => ({
    offset: String(lastOffset),
    isControlRecord: control,
    bytes,
  }))
  return filterAborted({ messages, abortedTransactions })
    .filter(({ isControlRecord }) => !isControlRecord)
    .map(({ bytes }) => readRecordBatch(bytes, from))
}
