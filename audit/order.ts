// Reads the total order and the extents that it is made of, for core/extents.ts. Both are small: one record per
// transaction of refine.
import type { RangeReader, OffsetRange } from '../platform/kafka/port.ts'
import { FramedDecoder } from '../platform/codec/framed-decoder.ts'
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

  /** The order by partition of clean; its sequence is checked on the way. */
  async readOrder(range: OffsetRange, partitions: number): Promise<Extents[]> {
    const ordered = Array.from({ length: partitions }, () => new Extents())
    const check = new OrderCheck()
    const isRead = await this.#each(ORDER, 0, range, this.#order, (value, offset, orderedMs) => {
      const { partition, first_offset: firstOffset, count, base_sequence: baseSequence } = value
      const { ts_min: tsMin, ts_max: tsMax } = value
      const finding = check.add({ partition, firstOffset, count, baseSequence, tsMin, tsMax, offset, orderedMs })
      if (finding !== null) this.#findings.problem('ORDER_INCONSISTENT', `the order is inconsistent: ${finding.detail}`)
      ordered[partition]?.add(firstOffset, count)
    })
    if (!isRead) for (const extents of ordered) extents.isCut = true
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
              visit(await decoder.decode(batch.value(i) ?? NOTHING), next, batch.timestamp(i))
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
}

const NOTHING = Buffer.alloc(0)
