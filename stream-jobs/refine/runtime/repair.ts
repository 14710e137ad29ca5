// What an operator may do to a partition of raw that cannot continue by itself, under refine's own protocol: the repair fences
// the partition's owner as any new owner does, restores the state, and commits dead letters, a snapshot and the next offset
// in one transaction. So it happens once or not at all, nothing else is passed over, and no replay ever crosses the place.
// The former owner finds that it was overtaken, and acquires the partition again.
import { schemaIdAt } from '../../../platform/codec/framing.ts'
import { InputError } from '../../../platform/errors.ts'
import type { RangeReader, TopicPartition } from '../../../platform/kafka/port.ts'
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { Recall } from '../core/recall.ts'
import { restoreSnapshot, schemaIdsOf } from '../core/snapshot.ts'
import { acquire, type AcquireDeps, learn, prepare, transactionalIdOf } from './acquire.ts'
import { decodeMetadata } from './commit-metadata.ts'
import { readSnapshot } from './snapshot-reader.ts'
import { Task } from './task.ts'

/** How far clocks of brokers may differ, ms: clean is read from before the snapshot by this much. */
const SKEW_MS = 60_000

export type Repaired =
  | { readonly kind: 'done'; readonly text: string }
  /** There was nothing to repair, or somebody has done it. */
  | { readonly kind: 'nothing'; readonly text: string }

/** What a skip would do. */
export interface SkipPlan {
  readonly offset: number
  readonly text: string
}

/**
 * Which record refine would read next, without disturbing it.
 * @returns null when it has passed `offset` already
 * @throws InputError PLACE when its next record is another one
 */
export async function planSkip(deps: AcquireDeps, partition: number, offset: number): Promise<SkipPlan | null> {
  const { admin, reader, settings } = deps
  const at = { topic: settings.topics.raw, partition }
  const { start, end } = (await admin.offsetRanges(at.topic))[partition]
  const position = (await admin.committedOffsets(settings.group, at.topic))[partition]?.offset ?? start
  if (offset < position) return null
  const { batch, i } = await nextRecord(reader, at, position, end, offset)
  const what = batch.problem ?? `the record at offset ${batch.offset(i)} of ${at.topic}/${partition}`
  return { offset: batch.offset(i), text: what }
}

/** Moves the record at which refine is stuck into the dead letters. @throws InputError PLACE */
export async function skipRecord(deps: AcquireDeps, partition: number, offset: number): Promise<Repaired> {
  const at = { topic: deps.settings.topics.raw, partition }
  const passed = {
    kind: 'nothing',
    text: `refine has passed offset ${offset} of ${at.topic}/${partition} already`,
  } as const
  if ((await planSkip(deps, partition, offset)) === null) return passed
  const task = await acquire(deps, partition)
  try {
    if (offset < task.position) return passed
    const { batch, i } = await nextRecord(deps.reader, at, task.position, task.endOffset, offset)
    const detail = batch.problem === null ? 'skipped by an operator' : `skipped by an operator: ${batch.problem}`
    task.core.refuse(batch, i, 'SKIPPED', detail)
    task.position = batch.offset(i) + 1
    await task.finish()
    return {
      kind: 'done',
      text: `${at.topic}/${partition}: offset ${batch.offset(i)} is a dead letter; refine continues at ${task.position}`,
    }
  } finally {
    await task.close()
  }
}

/** The first record at or after the position, which must be the one that was named. */
async function nextRecord(
  reader: RangeReader,
  at: TopicPartition,
  position: number,
  end: number,
  named: number,
): Promise<{ batch: RecordBatch; i: number }> {
  let found: { batch: RecordBatch; i: number } | null = null
  if (position < end) {
    const ended = new AbortController()
    await reader.follow(at, position, ended.signal, ({ batches, nextOffset }) => {
      const batch = batches.find((one) => one.firstAtOrAfter(position) < one.count)
      if (batch !== undefined) found = { batch, i: batch.firstAtOrAfter(position) }
      if (found !== null || nextOffset >= end) ended.abort()
    })
  }
  const next = found as { batch: RecordBatch; i: number } | null
  const offset = next?.batch.offset(next.i) ?? end
  // An unreadable batch counts as one record at its last offset; any of its offsets names it.
  if (next !== null && named >= position && named <= offset) return next
  throw new InputError(
    'PLACE',
    'offset',
    `refine's next record in ${at.topic}/${at.partition} is at offset ${offset}, not ${named}: only that one can be skipped; plumbline partitions shows where a partition is stuck`,
  )
}

/**
 * Continues at the first retained record. The removed ones are one dead letter that names their offsets; readings that
 * waited, and whose records are gone, are dead letters with their bytes where a snapshot has them.
 */
export async function acceptLoss(deps: AcquireDeps, partition: number): Promise<Repaired> {
  const { kafka, admin, settings, transactionTimeoutMs } = deps
  const { raw: topic } = settings.topics
  const transactionalId = transactionalIdOf(settings.group, partition)
  if ((await lossOf(deps, partition)) === null)
    return { kind: 'nothing', text: `${topic}/${partition} has lost nothing that refine still needs` }
  const producer = await kafka.transactionalProducer({ transactionalId, transactionTimeoutMs })
  try {
    await producer.fence()
    const loss = await lossOf(deps, partition)
    if (loss === null) return { kind: 'nothing', text: `${topic}/${partition}: the loss has been accepted already` }
    const { metadata, committed, start } = loss
    const { core, outputs, refusals, goLive } = prepare(deps, partition, metadata)
    const at = { topic: settings.topics.snapshots, partition }
    const chunks = await readSnapshot(deps.reader, deps.fetchSchema, at, metadata.snapshot)
    for (const id of schemaIdsOf(chunks)) await learn(deps.plans, { id })
    restoreSnapshot(core, chunks)
    goLive()
    const { ledger } = core
    if (metadata.snapshot.input < committed) {
      const recall = await recallSent(deps, partition, core.sensors, core.now)
      Object.assign(ledger, metadata.ledger)
      const waited = recall.release().slice(0, ledger.buffered)
      for (let i = 0; i < ledger.buffered; i += 1)
        outputs.deadLetterOf(waited[i]?.offset ?? start - 1, waited[i] ?? null, 'REMOVED_UNREAD', WAITED)
      ledger.deadLettered += ledger.buffered
      ledger.buffered = 0
    }
    if (committed < start) {
      ledger.consumed += 1
      ledger.deadLettered += 1
      const removed = `offsets ${committed} to ${start - 1} of ${topic}/${partition} were removed (retention, or DeleteRecords) before refine had read them; an operator has accepted the loss`
      outputs.deadLetterOf(start - 1, null, 'REMOVED_UNREAD', removed)
    }
    const position = Math.max(committed, start)
    const { end: endOffset } = (await admin.offsetRanges(topic))[partition]
    const parts = { producer, core, outputs, refusals, snapshot: metadata.snapshot, position, endOffset }
    await new Task(deps, partition, parts).finish()
    const lost = committed < start ? `offsets ${committed} to ${start - 1} are lost` : 'no unread record is lost'
    return { kind: 'done', text: `${topic}/${partition}: ${lost}; refine continues at ${position}` }
  } finally {
    await producer.close()
  }
}

const WAITED =
  'the reading waited for its turn when refine stopped, and its record was removed (retention, or DeleteRecords) before refine came back'

/** What retention has removed of what refine needs; null for nothing. */
export async function lossOf({ admin, settings }: Pick<AcquireDeps, 'admin' | 'settings'>, partition: number) {
  const { raw } = settings.topics
  const at = (await admin.committedOffsets(settings.group, raw))[partition] ?? null
  if (at === null) return null
  const metadata = decodeMetadata(at.metadata, partition, at.offset)
  const { start } = (await admin.offsetRanges(raw))[partition]
  return metadata.snapshot.input >= start ? null : { metadata, committed: at.offset, start }
}

/** Reads what was sent since the snapshot. */
async function recallSent(
  { reader, admin, plans, settings: { topics } }: AcquireDeps,
  partition: number,
  sensors: ConstructorParameters<typeof Recall>[0],
  snapshotMs: number,
): Promise<Recall> {
  const recall = new Recall(sensors, (id) => plans.get(id))
  for (const topic of [topics.clean, topics.late]) {
    const at = { topic, partition }
    const { start, end } = (await admin.offsetRanges(topic))[partition]
    const from = await firstSince(reader, at, start, end, snapshotMs - SKEW_MS)
    await reader.read(at, from, end, async ({ batches }) => {
      for (const batch of batches)
        for (let i = 0; i < batch.count; i += 1) {
          const value = batch.value(i)
          if (value !== null && value.length > 5) await learn(plans, { id: schemaIdAt(value, 0) })
          recall.record(batch, i, topic === topics.clean)
        }
    })
  }
  return recall
}

/** An offset at or before the first record that arrived at `ms` or later. */
async function firstSince(
  reader: RangeReader,
  at: TopicPartition,
  start: number,
  end: number,
  ms: number,
): Promise<number> {
  let low = start
  let high = end
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    let time = Infinity
    await reader.read(at, middle, middle + 1, ({ batches }) => {
      for (const batch of batches) if (batch.count > 0) time = Math.min(time, batch.timestamp(0))
    })
    if (time >= ms) high = middle
    else low = middle + 1
  }
  return low
}
