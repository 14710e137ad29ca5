// What an operator may do when the order has stopped at a partition of the extents: pass over a record that is no extent, or
// continue after extents that were removed before the sequencer read them. No reading loses its place by that: clean still
// has the readings of an extent that is gone, so they get their sequences from clean itself, in their partition's order. All
// of it is one transaction of the sequencer's own producer, which fences the active one; it happens once or not at all.
import { schemaIdAt } from '../../../platform/codec/framing.ts'
import { DecodeError } from '../../../platform/codec/framed-decoder.ts'
import { ReadingDecoder } from '../../../platform/codec/reading-decoder.ts'
import type { FetchSchema } from '../../../platform/codec/register.ts'
import { InputError } from '../../../platform/errors.ts'
import type { FetchedBatch, RangeReader, TopicPartition } from '../../../platform/kafka/port.ts'
import { CLEAN } from '../../../schemas/topics.ts'
import { type Extent, ExtentError, type OrderRecord, Sequence } from '../core/sequence.ts'
import type { AcquireSequencerDeps } from './acquire.ts'
import { decodeReached, encodeReached } from './metadata.ts'
import { OrderBatches } from './order-batches.ts'

export type OrderRepairDeps = Pick<
  AcquireSequencerDeps,
  'kafka' | 'admin' | 'reader' | 'settings' | 'extents' | 'transactionTimeoutMs'
> & { readonly fetchSchema: FetchSchema }

export interface OrderRepaired {
  readonly kind: 'done' | 'nothing'
  readonly text: string
}

interface Place {
  /** Offset in extents to read next. */
  readonly position: number
  readonly cleanEnd: number
  readonly next: number
}

/**
 * Passes over the record at which the order has stopped.
 * @throws InputError PLACE when the sequencer can read that record, or is elsewhere
 */
export async function skipExtent(deps: OrderRepairDeps, partition: number, offset: number): Promise<OrderRepaired> {
  const { topics } = deps.settings
  const name = `${topics.extents}/${partition}`
  return repair(deps, partition, async ({ position, cleanEnd, next }) => {
    if (offset < position) return `the order has passed offset ${offset} of ${name} already`
    const { end } = (await deps.admin.offsetRanges(topics.extents))[partition]
    for await (const record of recordsOf(deps.reader, { topic: topics.extents, partition }, position, end)) {
      const why = await whyRefused(
        deps,
        partition,
        record,
        new Sequence(next, new Map([[partition, { position, cleanEnd }]])),
      )
      if (why === null || record.offset !== offset)
        throw new InputError(
          'PLACE',
          'offset',
          `the order's next record in ${name} is at offset ${record.offset}${why === null ? ', and it can be read' : ''}; only the one at which the order has stopped can be skipped`,
        )
      return {
        position: offset + 1,
        text: `${name}: passed over offset ${offset} (${why}; its bytes: ${record.value?.toString('base64') ?? 'none'})`,
      }
    }
    throw new InputError('PLACE', 'offset', `${name} has no record that the order has not read`)
  })
}

/** Continues at the first extent that is kept. */
export async function acceptLostExtents(deps: OrderRepairDeps, partition: number): Promise<OrderRepaired> {
  const { topics } = deps.settings
  const name = `${topics.extents}/${partition}`
  return repair(deps, partition, async ({ position }) => {
    const { start } = (await deps.admin.offsetRanges(topics.extents))[partition]
    if (position >= start) return `${name} has lost nothing that the order still needs`
    return {
      position: start,
      text: `${name}: passed over offsets ${position} to ${start - 1}, which were removed unread`,
    }
  })
}

/** @param decide where to continue, or why there is nothing to do; asked before and after fencing */
async function repair(
  deps: OrderRepairDeps,
  partition: number,
  decide: (at: Place) => Promise<{ readonly position: number; readonly text: string } | string>,
): Promise<OrderRepaired> {
  const { kafka, settings, transactionTimeoutMs } = deps
  const { group, topics } = settings
  const before = await decide(await placeOf(deps, partition))
  if (typeof before === 'string') return { kind: 'nothing', text: before }
  const producer = await kafka.transactionalProducer({ transactionalId: group, transactionTimeoutMs })
  try {
    await producer.fence()
    const at = await placeOf(deps, partition)
    const decided = await decide(at)
    if (typeof decided === 'string') return { kind: 'nothing', text: decided }
    const orders = await orderFromClean(deps, partition, at, decided.position)
    const encoded = new OrderBatches(settings.orderSchemaId)
    for (const order of orders) encoded.add(order)
    const transaction = await producer.begin()
    for (const records of encoded.batches) await transaction.send([{ topic: topics.order, partition: 0, records }])
    const readings = orders.reduce((sum, { count }) => sum + count, 0)
    const last = orders.at(-1)
    const clean_end = last === undefined ? at.cleanEnd : last.first_offset + last.count
    const metadata = encodeReached({ v: 1, next_sequence: at.next + readings, clean_end })
    await transaction.sendOffsets(group, [{ topic: topics.extents, partition, offset: decided.position, metadata }])
    await transaction.commit()
    const restored =
      readings === 0
        ? 'no reading was without a place'
        : `${readings} readings of ${CLEAN}/${partition} got their sequences ${at.next} to ${at.next + readings - 1} from clean itself`
    return { kind: 'done', text: `${decided.text}; ${restored}` }
  } finally {
    await producer.close()
  }
}

async function placeOf({ admin, settings }: OrderRepairDeps, partition: number): Promise<Place> {
  const committed = await admin.committedOffsets(settings.group, settings.topics.extents)
  let next = 0
  for (const [one, at] of committed.entries())
    if (at !== null && at !== undefined) next = Math.max(next, decodeReached(at.metadata, one, at.offset).next_sequence)
  const at = committed[partition] ?? null
  if (at === null) {
    const { start } = (await admin.offsetRanges(settings.topics.extents))[partition]
    return { position: start, cleanEnd: 0, next }
  }
  return { position: at.offset, cleanEnd: decodeReached(at.metadata, partition, at.offset).clean_end, next }
}

/** Runs of clean between the last extent in the order and the first one that will be read. */
async function orderFromClean(
  deps: OrderRepairDeps,
  partition: number,
  { cleanEnd, next }: Place,
  position: number,
): Promise<OrderRecord[]> {
  const { admin, reader, settings } = deps
  const clean = { topic: CLEAN, partition }
  // In this order: what an extent that is found later covers is not taken twice.
  const range = (await admin.offsetRanges(CLEAN))[partition]
  const following = await firstExtent(deps, partition, position, cleanEnd)
  const from = Math.max(cleanEnd, range.start)
  const to = following ?? range.end
  const decoder = new ReadingDecoder(deps.fetchSchema)
  const orders: OrderRecord[] = []
  let sequence = next
  for await (const { offset, value, timestamp } of recordsOf(reader, clean, from, to)) {
    if (following === null)
      throw new InputError(
        'PLACE',
        'partition',
        `${CLEAN}/${partition} has readings from offset ${offset} on, and ${settings.topics.extents}/${partition} no extent after them yet: wait until refine has written the next one, and repeat the command`,
      )
    if (value === null) continue
    await decoder.learn(schemaIdAt(value, 0))
    const { ts } = decoder.decodeKnown(value)
    const last = orders.at(-1)
    if (last !== undefined && last.first_offset + last.count === offset)
      orders[orders.length - 1] = {
        ...last,
        count: last.count + 1,
        ts_min: Math.min(last.ts_min, ts),
        ts_max: Math.max(last.ts_max, ts),
        arrival_ms: timestamp,
      }
    else
      orders.push({
        partition,
        first_offset: offset,
        count: 1,
        base_sequence: sequence,
        ts_min: ts,
        ts_max: ts,
        arrival_ms: timestamp,
        extent_offset: position - 1,
      })
    sequence += 1
  }
  return orders
}

/** Where the first extent at or after `position` begins in clean; null while there is none. */
async function firstExtent(
  deps: OrderRepairDeps,
  partition: number,
  position: number,
  cleanEnd: number,
): Promise<number | null> {
  const { admin, reader, settings } = deps
  const at = { topic: settings.topics.extents, partition }
  const { end } = (await admin.offsetRanges(at.topic))[partition]
  const sequence = new Sequence(0, new Map([[partition, { position, cleanEnd }]]))
  for await (const record of recordsOf(reader, at, position, end))
    if ((await whyRefused(deps, partition, record, sequence)) === null)
      return sequence.reached(partition).cleanEnd - (await deps.extents.decode(record.value!)).count
  return null
}

interface LogRecord {
  readonly offset: number
  readonly value: Buffer | null
  readonly timestamp: number
}

/** Why the sequencer cannot append the record; null when it can, and then `sequence` has it. */
async function whyRefused(
  { extents }: OrderRepairDeps,
  partition: number,
  { offset, value }: LogRecord,
  sequence: Sequence,
): Promise<string | null> {
  try {
    if (value === null) return 'a record without a value'
    const extent: Extent = await extents.decode(value)
    sequence.append(partition, offset, extent)
    return null
  } catch (error) {
    if (error instanceof ExtentError || error instanceof DecodeError) return error.message
    throw error
  }
}

/** Committed records of [from, to), one fetch in memory at a time. */
async function* recordsOf(
  reader: RangeReader,
  at: TopicPartition,
  from: number,
  to: number,
): AsyncGenerator<LogRecord> {
  for (let position = from; position < to;) {
    let fetched: FetchedBatch | null = null
    await reader.read(at, position, Math.min(position + 1, to), (one) => void (fetched ??= one))
    const got = fetched as FetchedBatch | null
    for (const batch of got?.batches ?? [])
      for (let i = batch.firstAtOrAfter(position); i < batch.count && batch.offset(i) < to; i += 1)
        yield { offset: batch.offset(i), value: batch.value(i), timestamp: batch.timestamp(i) }
    position = Math.max(position + 1, got?.nextOffset ?? position)
  }
}
