// The dead letters of a record, and what became of them.
import type { OffsetRange } from '../../platform/kafka/port.ts'
import { type Place, placeText, readDeadLetter } from '../../platform/dead-letters/letter.ts'
import { readMark } from '../../platform/dead-letters/marks.ts'
import { DLQ, DLQ_MARKS } from '../../schemas/topics.ts'
import type { FoundLetter } from './core/fates.ts'
import type { LogSearch } from './log-search.ts'

/** Letters and marks that are looked through, from the time of the record on. */
const LOOKED_THROUGH_MAX = 500_000

export class Letters {
  readonly #search: LogSearch
  readonly #ranges: readonly OffsetRange[]
  readonly #markRanges: readonly OffsetRange[]

  constructor(search: LogSearch, ranges: readonly OffsetRange[], markRanges: readonly OffsetRange[]) {
    this.#search = search
    this.#ranges = ranges
    this.#markRanges = markRanges
  }

  /** Null where it is not kept. */
  async at({ partition, offset }: Place): Promise<FoundLetter | null> {
    const range = this.#ranges[partition]
    if (range === undefined || offset < range.start || offset >= range.end) return null
    const [letter] = await this.#read(partition, offset, offset + 1, () => true)
    return letter ?? null
  }

  /** Of records at these places, in the partition they were refused in, from a time on. */
  async of(partition: number, places: ReadonlySet<string>, fromMs: number): Promise<FoundLetter[]> {
    const range = this.#ranges[partition]
    if (range === undefined || places.size === 0) return []
    const from = await this.#search.offsetAt({ topic: DLQ, partition }, range, fromMs)
    const to = Math.min(range.end, from + LOOKED_THROUGH_MAX)
    return this.#read(partition, from, to, ({ topic, partition: at, offset }) => places.has(`${topic}/${at}@${offset}`))
  }

  async #read(
    partition: number,
    from: number,
    to: number,
    isWanted: (place: FoundLetter['from']) => boolean,
  ): Promise<FoundLetter[]> {
    const found: Omit<FoundLetter, 'state' | 'markedMs'>[] = []
    await this.#search.batches({ topic: DLQ, partition }, from, to, (batch, end) => {
      for (let i = 0; i < batch.count && batch.offset(i) < end; i += 1) {
        const letter = readDeadLetter(batch, i, partition)
        const { from: origin, stage, reason, message, timeMs, offset, key } = letter
        if (isWanted(origin))
          found.push({ place: placeText({ partition, offset }), key, timeMs, from: origin, stage, reason, message })
      }
    })
    return Promise.all(found.map(async (letter) => ({ ...letter, ...(await this.#stateOf(partition, letter)) })))
  }

  async #stateOf(
    partition: number,
    { place, timeMs }: { place: string; timeMs: number },
  ): Promise<Pick<FoundLetter, 'state' | 'markedMs'>> {
    const range = this.#markRanges[partition]
    let state: Pick<FoundLetter, 'state' | 'markedMs'> = { state: 'open', markedMs: null }
    if (range === undefined) return state
    const at = { topic: DLQ_MARKS, partition }
    const from = await this.#search.offsetAt(at, range, timeMs)
    await this.#search.batches(at, from, Math.min(range.end, from + LOOKED_THROUGH_MAX), (batch, end) => {
      for (let i = 0; i < batch.count && batch.offset(i) < end; i += 1) {
        const mark = readMark(batch.key(i), batch.value(i))
        // The first one counts.
        if (mark !== null && state.state === 'open' && placeText(mark.place) === place)
          state = { state: mark.outcome, markedMs: batch.timestamp(i) }
      }
    })
    return state
  }
}
