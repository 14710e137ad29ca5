// Waits until nothing is in flight: logs sent, raw worked through, nothing buffered, the store level with clean and late.
// Offsets alone cannot tell, since a topic may end in markers that no consumer is handed; a short rest is looked into.
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../platform/config.ts'
import type { Admin, Kafka, RangeReader } from '../platform/kafka/port.ts'
import { CLEAN, LATE, RAW } from '../schemas/topics.ts'
import { Findings } from './core/findings.ts'
import { type Inputs, readInputs, topicPartition } from './inputs.ts'

const POLL_MS = 250
/** A longer rest is certainly not markers alone. */
const LOOK_INTO_OFFSETS = 1_000

/** @returns what is still in flight when the time is up, in words; null when all is still */
export async function untilSettled(config: Config, kafka: Kafka, timeoutMs: number): Promise<string | null> {
  const admin = await kafka.admin()
  const reader = await kafka.rangeReader()
  try {
    for (const deadline = performance.now() + timeoutMs; ; await delay(POLL_MS)) {
      const moving = await inFlight(config, admin, reader)
      if (moving === null || performance.now() >= deadline) return moving
    }
  } finally {
    await Promise.allSettled([admin.close(), reader.close()])
  }
}

async function inFlight(config: Config, admin: Admin, reader: RangeReader): Promise<string | null> {
  const inputs = await readInputs(config, admin, new Findings())
  const waiting = inputs.logs.accounts.reduce((sum, log) => sum + log.waiting, 0)
  if (waiting > 0) return `${waiting} readings wait in write-ahead logs`
  for (const [partition, { committed, ledger }] of inputs.refine.entries()) {
    const { start, end } = inputs.ranges.raw[partition]
    if (await hasRecords(reader, RAW, partition, committed ?? start, end))
      return `refine is behind on raw partition ${partition}`
    if ((ledger?.buffered ?? 0) > 0) return `refine buffers ${ledger!.buffered} readings of raw partition ${partition}`
  }
  return storeBehind(inputs, reader)
}

async function storeBehind({ store, ranges }: Inputs, reader: RangeReader): Promise<string | null> {
  if (store === null) return null
  for (const [topic, partitions] of [
    [CLEAN, ranges.clean],
    [LATE, ranges.late],
  ] as const) {
    for (const [partition, { start, end }] of partitions.entries()) {
      const from = store.offsets.get(topicPartition(topic, partition)) ?? start
      if (await hasRecords(reader, topic, partition, from, end))
        return `the store is behind on ${topic} partition ${partition}`
    }
  }
  return null
}

async function hasRecords(
  reader: RangeReader,
  topic: string,
  partition: number,
  from: number,
  to: number,
): Promise<boolean> {
  if (to - from > LOOK_INTO_OFFSETS) return true
  let found = false
  if (from < to) {
    await reader.read({ topic, partition }, from, to, ({ batches }) => {
      for (const batch of batches) found ||= batch.count > 0 && batch.offset(0) < to
    })
  }
  return found
}
