// The invariants of the order, record by record: each begins where the one before it ended, and the extents of a
// partition follow each other without overlap. Pure, and one number a partition, so that a log of any length is checked.
import type { OrderRecord } from './order-log.ts'

export type OrderFault = 'SEQUENCE_GAP' | 'SEQUENCE_REPEATED' | 'EXTENT_OVERLAP' | 'EMPTY_EXTENT'

export interface OrderFinding {
  readonly fault: OrderFault
  readonly detail: string
}

export class OrderCheck {
  /** Sequence of the first reading; null before the first record. */
  first: number | null = null
  /** Sequence that the next record must begin with; null before the first. */
  next: number | null = null
  records = 0
  readonly #ends = new Map<number, number>()

  get count(): number {
    return this.first === null || this.next === null ? 0 : this.next - this.first
  }

  /** Takes the next record of the log; null when it is valid. After a finding it continues after that record. */
  add(record: OrderRecord): OrderFinding | null {
    const finding = this.#look(record)
    this.first ??= record.baseSequence
    this.next = record.baseSequence + record.count
    this.records += 1
    this.#ends.set(record.partition, record.firstOffset + record.count)
    return finding
  }

  #look({ partition, firstOffset, count, baseSequence, offset }: OrderRecord): OrderFinding | null {
    const at = `order record at offset ${offset}`
    if (count < 1) return { fault: 'EMPTY_EXTENT', detail: `the ${at} says ${count} readings` }
    if (this.next !== null && baseSequence > this.next)
      return {
        fault: 'SEQUENCE_GAP',
        detail: `sequences ${this.next} to ${baseSequence - 1} are missing before the ${at}`,
      }
    if (this.next !== null && baseSequence < this.next)
      return {
        fault: 'SEQUENCE_REPEATED',
        detail: `the ${at} begins again at sequence ${baseSequence}, and ${this.next} is next`,
      }
    const end = this.#ends.get(partition)
    if (end !== undefined && firstOffset < end)
      return {
        fault: 'EXTENT_OVERLAP',
        detail: `the ${at} begins at offset ${firstOffset} of partition ${partition}, which has its place up to ${end - 1}`,
      }
    return null
  }
}
