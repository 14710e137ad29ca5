// The total order: extents of all partitions, taken one by one as they arrive, get the sequences of their
// readings from one running count. Within a partition they must come in order and never overlap; what does not is a
// log that contradicts itself, and numbering it would give a reading two places. Gaps between extents are no fault:
// transaction markers and aborted records take offsets, too.
import { PlumblineError } from '../../../platform/errors.ts'

/** As in schemas/extent.avsc. */
export interface Extent {
  readonly partition: number
  readonly first_offset: number
  readonly count: number
  readonly ts_min: number
  readonly ts_max: number
  readonly input_from: number
  readonly input_to: number
  readonly arrival_ms: number
}

/** As in schemas/order.avsc. */
export interface OrderRecord {
  readonly partition: number
  readonly first_offset: number
  readonly count: number
  readonly base_sequence: number
  readonly ts_min: number
  readonly ts_max: number
  readonly arrival_ms: number
  readonly extent_offset: number
}

/** How far the order has come in one partition. */
export interface Reached {
  /** Offset in extents to read next. */
  readonly position: number
  /** Offset in clean after the last extent. */
  readonly cleanEnd: number
}

type ExtentErrorCode =
  'SEQUENCE_EXHAUSTED' | 'EXTENT_EMPTY' | 'EXTENT_MISPLACED' | 'EXTENT_OVERLAPS' | 'EXTENT_REPEATED'

/** The extents contradict what is already in the order: retrying cannot help. */
export class ExtentError extends PlumblineError<ExtentErrorCode> {}

export class Sequence {
  #next: number
  readonly #reached: Map<number, { position: number; cleanEnd: number }>

  /** @param next sequence of the next reading */
  constructor(next: number, reached: ReadonlyMap<number, Reached>) {
    this.#next = next
    this.#reached = new Map([...reached].map(([partition, at]) => [partition, { ...at }]))
  }

  get next(): number {
    return this.#next
  }

  reached(partition: number): Reached {
    return this.#of(partition)
  }

  partitions(): number[] {
    return [...this.#reached.keys()]
  }

  /** Nothing is left to read below `position`: the skipped offsets hold no records. */
  pass(partition: number, position: number): void {
    const at = this.#of(partition)
    at.position = Math.max(at.position, position)
  }

  /**
   * Appends an extent to the order.
   * @param partition of the extents topic that it is in, at `offset`
   * @throws ExtentError
   */
  append(partition: number, offset: number, extent: Extent): OrderRecord {
    const at = this.#of(partition)
    const { first_offset, count } = extent
    const refuse = (code: ExtentErrorCode, why: string): never => {
      throw new ExtentError(code, `the extent at offset ${offset} of partition ${partition} ${why}`, {
        partition,
        offset,
      })
    }
    if (offset < at.position) refuse('EXTENT_REPEATED', `was put in order already: position ${at.position} is reached`)
    if (extent.partition !== partition)
      refuse('EXTENT_MISPLACED', `is one of partition ${extent.partition}: it was not written by refine`)
    if (!(Number.isSafeInteger(count) && count > 0 && Number.isSafeInteger(first_offset)))
      refuse('EXTENT_EMPTY', `covers ${count} readings from ${first_offset}: at least one must be`)
    if (first_offset < at.cleanEnd)
      refuse(
        'EXTENT_OVERLAPS',
        `begins at ${first_offset} of clean, but the order has reached ${at.cleanEnd}: clean was written by something else, or recreated without the order`,
      )
    if (!Number.isSafeInteger(this.#next + count)) refuse('SEQUENCE_EXHAUSTED', `would pass sequence ${this.#next}`)
    const base_sequence = this.#next
    this.#next += count
    at.position = offset + 1
    at.cleanEnd = first_offset + count
    const { ts_min, ts_max, arrival_ms } = extent
    return { partition, first_offset, count, base_sequence, ts_min, ts_max, arrival_ms, extent_offset: offset }
  }

  #of(partition: number): { position: number; cleanEnd: number } {
    const at = this.#reached.get(partition)
    if (at === undefined) throw new RangeError(`partition ${partition} is not part of this order`)
    return at
  }
}
