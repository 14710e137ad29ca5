// The place of a reading of clean in the total order: the extent that holds it, and the sequence that the extent got.
import { FramedDecoder } from '../../platform/codec/framed-decoder.ts'
import type { FetchSchema } from '../../platform/codec/register.ts'
import type { OffsetRange } from '../../platform/kafka/port.ts'
import type { OrderReader } from '../../platform/order/order-reader.ts'
import { EXTENTS, ORDER } from '../../schemas/topics.ts'
import type { Found } from './core/fates.ts'
import { placeOf, type Step } from './core/report.ts'
import type { LogSearch } from './log-search.ts'

/** Extents and orders that are looked through, from the reading's time on: one is written every 100 ms or so. */
const LOOKED_THROUGH_MAX = 100_000

interface ExtentValue {
  readonly first_offset: number
  readonly count: number
}

export async function orderSteps(
  clean: Found,
  search: LogSearch,
  order: OrderReader | null,
  extents: OffsetRange | undefined,
  fetchSchema: FetchSchema,
): Promise<{ steps: Step[]; sequence: number | null }> {
  const extent = extents === undefined ? null : await extentOf(clean, search, extents, fetchSchema)
  const none = (step: 'extent' | 'order', what: string): Step => ({ step, where: null, timeMs: null, what })
  const steps = [extent ?? none('extent', 'no extent has it yet, or it is not kept any more')]
  if (order === null) return { steps: [...steps, none('order', 'there is no total order yet')], sequence: null }
  const { record } = await order.log.search(({ orderedMs }) => orderedMs >= clean.timeMs)
  let found: Step | null = null
  let sequence: number | null = null
  if (record !== null)
    await order.log
      .scan(record.offset, record.offset + LOOKED_THROUGH_MAX, (each) => {
        const { partition, firstOffset, count, baseSequence, offset, orderedMs } = each
        if (partition !== clean.partition || firstOffset + count <= clean.offset) return true
        if (firstOffset > clean.offset) return false
        sequence = baseSequence + clean.offset - firstOffset
        const where = placeOf({ topic: ORDER, partition: 0, offset })
        found = { step: 'order', where, timeMs: orderedMs, what: `global sequence ${sequence}` }
        return false
      })
      .catch((error: unknown) => ignoreEnd(error))
  return { steps: [...steps, found ?? none('order', 'it has no global sequence yet')], sequence }
}

/** The log ends within what was to be looked through. */
function ignoreEnd(error: unknown): void {
  if ((error as { code?: string }).code !== 'END_BEFORE_RANGE') throw error
}

async function extentOf(
  clean: Found,
  search: LogSearch,
  range: OffsetRange,
  fetchSchema: FetchSchema,
): Promise<Step | null> {
  const at = { topic: EXTENTS, partition: clean.partition }
  const decoder = new FramedDecoder<ExtentValue>('extent', fetchSchema)
  // It is of the same transaction, and may have come a millisecond before the reading.
  const from = await search.offsetAt(at, range, clean.timeMs - 1_000)
  let found: Step | null = null
  await search.batches(at, from, Math.min(range.end, from + LOOKED_THROUGH_MAX), async (batch, end) => {
    for (let i = 0; i < batch.count && batch.offset(i) < end && found === null; i += 1) {
      const { first_offset, count } = await decoder.decode(batch.value(i) ?? Buffer.alloc(0))
      if (first_offset <= clean.offset && clean.offset < first_offset + count)
        found = {
          step: 'extent',
          where: placeOf({ ...at, offset: batch.offset(i) }),
          timeMs: batch.timestamp(i),
          what: `reading ${clean.offset - first_offset + 1} of ${count}`,
        }
    }
  })
  return found
}
