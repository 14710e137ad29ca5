// Reads the total order and the extents that it is made of, for core/extents.ts. Both are small: one record per
// transaction of refine.
import type { RangeReader, OffsetRange } from '../platform/kafka/port.ts'
import { DecodeError, FramedDecoder } from '../platform/codec/framed-decoder.ts'
import { type FetchSchema, RegistryError } from '../platform/codec/register.ts'
import { PlumblineError } from '../platform/errors.ts'
import { OrderCheck } from '../platform/order/check.ts'
import { EXTENTS, ORDER } from '../schemas/topics.ts'
import { Extents } from './core/extents.ts'
import type { Findings } from './core/findings.ts'

interface ExtentValue {
  readonly first_offset: number
  readonly count: number
}

interface OrderValue extends ExtentValue {
  readonly partition: number
  readonly base_sequence: number
  readonly ts_min: number
  readonly ts_max: number
}

export class OrderScanner {
  readonly #reader: RangeReader
  readonly #extents: FramedDecoder<ExtentValue>
  readonly #order: FramedDecoder<OrderValue>
  readonly #findings: Findings

  constructor(reader: RangeReader, fetchSchema: FetchSchema, findings: Findings) {
    this.#reader = reader
    this.#extents = new FramedDecoder('extent', fetchSchema)
    this.#order = new FramedDecoder('order', fetchSchema)
    this.#findings = findings
  }

  /**
   * The order by partition of clean; its sequence is checked on the way.
   * @param next sequence of the next reading, as the sequencer has committed it; null: nothing is committed
   */
  async readOrder(range: OffsetRange, partitions: number, next: number | null): Promise<Extents[]> {
    const ordered = Array.from({ length: partitions }, () => new Extents())
    const check = new OrderCheck()
    let reached = 0
    const isRead = await this.#each(ORDER, 0, range, this.#order, (value, offset, orderedMs) => {
      const { partition, first_offset: firstOffset, count, base_sequence: baseSequence } = value
      const { ts_min: tsMin, ts_max: tsMax } = value
      const finding = check.add({ partition, firstOffset, count, baseSequence, tsMin, tsMax, offset, orderedMs })
      if (finding !== null) this.#findings.problem('ORDER_INCONSISTENT', `the order is inconsistent: ${finding.detail}`)
      reached = Math.max(reached, baseSequence + count)
      ordered[partition]?.add(firstOffset, count)
    })
    if (!isRead) for (const extents of ordered) extents.isCut = true
    else if (next !== null && (range.start === 0 || range.start < range.end) && reached < next)
      this.#findings.problem(
        'TOPIC_CUT',
        `${ORDER} ends before sequence ${reached}, and the sequencer has reached ${next}: the topic was recreated, or cut at its end`,
      )
    return ordered
  }

  async readExtents(range: OffsetRange, partition: number): Promise<Extents> {
    const extents = new Extents()
    const isRead = await this.#each(EXTENTS, partition, range, this.#extents, ({ first_offset, count }) =>
      extents.add(first_offset, count),
    )
    if (!isRead) extents.isCut = true
    return extents
  }

  /** @returns false when it could not be read to its end: a problem says so */
  async #each<T>(
    topic: string,
    partition: number,
    { start, end }: OffsetRange,
    decoder: FramedDecoder<T>,
    visit: (value: T, offset: number, arrivalMs: number) => void,
  ): Promise<boolean> {
    let next = start
    try {
      if (start < end)
        await this.#reader.read({ topic, partition }, start, end, async ({ batches }) => {
          for (const batch of batches)
            for (let i = 0; i < batch.count && batch.offset(i) < end; i += 1) {
              next = batch.offset(i)
              const value = await this.#decode(decoder, batch.value(i) ?? NOTHING, { topic, partition, offset: next })
              if (value !== null) visit(value, next, batch.timestamp(i))
            }
        })
      return true
    } catch (error) {
      if (!(error instanceof PlumblineError)) throw error
      const code = error instanceof RegistryError ? 'REGISTRY_UNAVAILABLE' : 'TOPIC_UNREADABLE'
      this.#findings.problem(
        code,
        `${topic}/${partition} cannot be read from offset ${next} on (${error.code}): ${error.message}; the order is not compared`,
      )
      return false
    }
  }

  /** Null for a record that is not one of ours, which is a problem; the others are still compared. */
  async #decode<T>(
    decoder: FramedDecoder<T>,
    value: Buffer,
    { topic, partition, offset }: { topic: string; partition: number; offset: number },
  ): Promise<T | null> {
    try {
      return await decoder.decode(value)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#findings.problem(
        'UNREADABLE',
        `${topic}/${partition} offset ${offset} is not a valid record of it: ${error.message}`,
      )
      return null
    }
  }
}

const NOTHING = Buffer.alloc(0)
