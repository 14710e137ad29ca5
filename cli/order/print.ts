// Prints a part of the order. A reader that is quicker than the consumer of its output waits for it, so that memory stays
// bounded by one chunk.
import { once } from 'node:events'
import type { Reading } from '../../platform/codec/reading.ts'
import type { OrderChunk, OrderReader } from '../../platform/order/order-reader.ts'
import { FramedDecoder } from '../../platform/codec/framed-decoder.ts'
import type { FetchSchema } from '../../platform/codec/register.ts'
import { jsonLine, type ShownReading, TABLE_HEAD, tableLine } from './core/lines.ts'

export interface PrintOptions {
  readonly from: number
  readonly limit: number
  readonly follow: boolean
  readonly format: 'table' | 'jsonl'
  readonly signal: AbortSignal
  readonly fetchSchema: FetchSchema
}

/** @returns how many readings were printed */
export async function printOrder(reader: OrderReader, options: PrintOptions): Promise<number> {
  const { from, limit, follow, format, signal, fetchSchema } = options
  const decoder = new FramedDecoder<Reading>('reading', fetchSchema)
  const line = format === 'jsonl' ? jsonLine : tableLine
  const full = new AbortController()
  let printed = 0
  const print = async (chunk: OrderChunk): Promise<void> => {
    const lines: string[] = []
    for (let i = chunk.from; i < chunk.to && printed < limit; i += 1) {
      const reading = await decoder.decode(chunk.batch.value(i) ?? NOTHING)
      lines.push(line(shown(chunk, i, reading)))
      printed += 1
    }
    if (printed === lines.length && format === 'table') lines.unshift(TABLE_HEAD)
    if (!process.stdout.write(lines.map((text) => `${text}\n`).join(''))) await once(process.stdout, 'drain')
    if (printed >= limit) full.abort()
  }
  if (follow) await reader.follow({ from, signal: AbortSignal.any([signal, full.signal]), onChunk: print })
  else await reader.read(from, limit, print, signal)
  return printed
}

const NOTHING = Buffer.alloc(0)

const shown = (
  { sequence, partition, batch, from, orderedMs }: OrderChunk,
  i: number,
  reading: Reading,
): ShownReading => ({
  sequence: sequence + i - from,
  partition,
  offset: batch.offset(i),
  orderedMs,
  reading,
})
