// Waits until nothing is in flight: logs sent, raw consumed, nothing buffered, the store caught up with clean and late.
// Offsets alone cannot tell, since a topic may end in markers that no consumer sees; a short remainder is inspected.
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../platform/config.ts'
import type { Admin, Kafka, RangeReader } from '../platform/kafka/port.ts'
import { messageOf } from '../platform/errors.ts'
import { openStore, storeExists } from '../platform/store/open.ts'
import { ANOMALIES, CLEAN, LATE, RAW } from '../schemas/topics.ts'
import { Findings } from './core/findings.ts'
import { refineState, topicPartition } from './inputs.ts'
import { readLogs } from './logs.ts'

const POLL_MS = 250
/** A longer remainder certainly is not just markers. */
const LOOK_INTO_OFFSETS = 1_000

/**
 * Ends by the deadline, whatever the broker or the store do: calls that hang are left to themselves.
 * @returns on timeout, a description of what is still in flight or unknown; null once everything has settled
 */
export async function untilSettled(config: Config, kafka: Kafka, timeoutMs: number): Promise<string | null> {
  const state = { moving: NOTHING_KNOWN, isOver: false }
  const timer = new AbortController()
  const deadline = delay(timeoutMs, state, { signal: timer.signal }).then(
    () => state.moving,
    () => null,
  )
  try {
    return await Promise.race([poll(config, kafka, state), deadline])
  } finally {
    state.isOver = true
    timer.abort()
  }
}

const NOTHING_KNOWN = 'the broker has not answered yet'

/** Never rejects; `state.moving` says what was seen last. */
async function poll(
  config: Config,
  kafka: Kafka,
  state: { moving: string; readonly isOver: boolean },
): Promise<string | null> {
  const closing: { close(): Promise<void> }[] = []
  try {
    for (; !state.isOver; await delay(POLL_MS)) {
      try {
        if (closing.length === 0) closing.push(await kafka.admin(), await kafka.rangeReader())
        const [admin, reader] = closing as [Admin & { close(): Promise<void> }, RangeReader]
        const moving = await inFlight(config, admin, reader)
        if (moving === null) return null
        state.moving = moving
      } catch (error) {
        state.moving = messageOf(error)
      }
    }
    return state.moving
  } finally {
    await Promise.allSettled(closing.map((one) => one.close()))
  }
}

async function inFlight(config: Config, admin: Admin, reader: RangeReader): Promise<string | null> {
  const { accounts } = readLogs(config.DATA_DIR, new Findings())
  const waiting = accounts.reduce((sum, log) => sum + log.waiting, 0)
  if (waiting > 0) return `${waiting} readings wait in write-ahead logs`
  const committed = await admin.committedOffsets(config.REFINE_GROUP, RAW)
  for (const [partition, { start, end }] of (await admin.offsetRanges(RAW)).entries()) {
    const { committed: next, ledger } = refineState(partition, committed[partition] ?? null, true, new Findings())
    // What was removed unread is for the audit to report; waiting will not bring it back.
    if (await hasRecords(reader, RAW, partition, Math.max(start, next ?? start), end))
      return `refine is behind on raw partition ${partition}`
    if ((ledger?.buffered ?? 0) > 0) return `refine buffers ${ledger!.buffered} readings of raw partition ${partition}`
  }
  return storeBehind(config, admin, reader)
}

async function storeBehind(config: Config, admin: Admin, reader: RangeReader): Promise<string | null> {
  if (!(await storeExists(config))) return null
  const store = openStore(config, 'read')
  const progress = await store.read((view) => view.progress()).finally(() => store.close())
  const offsets = new Map(progress.map(({ topic, partition, offset }) => [topicPartition(topic, partition), offset]))
  for (const topic of [CLEAN, LATE, ANOMALIES]) {
    for (const [partition, { start, end }] of (await admin.offsetRanges(topic)).entries()) {
      const from = Math.max(start, offsets.get(topicPartition(topic, partition)) ?? start)
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
