// One partition: batches as bytes, in order of offset, with what a broker knows about them: which transactions are open
// (they hold the last stable offset back), which were aborted, and which sequence each producer has reached. A repeated
// sequence is answered like the first one without being written: so a late request of a producer that was reused after a
// failure takes the place of a new record (danger 4 of kafkajs), here as on the real broker.
import type { AbortedTransaction } from '../../platform/kafka/kafkajs/wire.ts'
import { controlBatch, NO_PRODUCER, readHeader, stamp } from './batch.ts'
import { refused } from './errors.ts'

export interface StoredBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly bytes: Buffer
  readonly producerId: bigint
  readonly transactional: boolean
  readonly control: boolean
}

export interface FetchedRange {
  readonly batches: readonly StoredBatch[]
  readonly abortedTransactions: readonly AbortedTransaction[]
  readonly lastStableOffset: number
  readonly byteLength: number
}

interface ProducerState {
  epoch: number
  nextSequence: number
  /** The last few batches, to recognise a duplicate; as many as the real broker keeps. */
  recent: { firstSequence: number; nextSequence: number; baseOffset: number }[]
}

interface Aborted {
  readonly producerId: bigint
  readonly firstOffset: number
  readonly lastOffset: number
}

const RECENT_BATCHES = 5

export class PartitionLog {
  readonly topic: string
  readonly partition: number
  readonly #appendTime: boolean
  #batches: StoredBatch[] = []
  /** What retention has removed: for checks alone. */
  readonly removed: StoredBatch[] = []
  hidesRemovals = false
  #start = 0
  #end = 0
  readonly #producers = new Map<bigint, ProducerState>()
  /** First offset of each producer's open transaction. */
  readonly #open = new Map<bigint, number>()
  readonly #aborted: Aborted[] = []
  #waiting = new Set<() => void>()

  constructor(topic: string, partition: number, appendTime: boolean) {
    this.topic = topic
    this.partition = partition
    this.#appendTime = appendTime
  }

  get start(): number {
    return this.hidesRemovals ? 0 : this.#start
  }

  get end(): number {
    return this.#end
  }

  get lastStableOffset(): number {
    return Math.min(this.#end, ...this.#open.values())
  }

  get batches(): readonly StoredBatch[] {
    return this.#batches
  }

  /**
   * Writes a batch and returns its first offset; a repeated one is not written and gets its old offset.
   * @param bytes ownership passes to the log
   */
  append(bytes: Buffer, nowMs: number): number {
    const header = readHeader(bytes)
    const { producerId, transactional } = header
    const count = header.lastOffsetDelta + 1
    if (producerId !== NO_PRODUCER) {
      const repeated = this.#sequence(producerId, header.producerEpoch, header.firstSequence, count)
      if (repeated !== null) return repeated
    }
    const baseOffset = this.#end
    if (transactional && !this.#open.has(producerId)) this.#open.set(producerId, baseOffset)
    this.#store(bytes, count, nowMs, { producerId, transactional, control: false })
    return baseOffset
  }

  /** Ends a producer's transaction here; it gets a marker even if it has written nothing here. */
  mark(producerId: bigint, epoch: number, commit: boolean, nowMs: number): void {
    const firstOffset = this.#open.get(producerId)
    if (!commit && firstOffset !== undefined) this.#aborted.push({ producerId, firstOffset, lastOffset: this.#end })
    const state = this.#producers.get(producerId)
    if (state !== undefined && epoch > state.epoch) Object.assign(state, { epoch, nextSequence: 0, recent: [] })
    this.#open.delete(producerId)
    const bytes = controlBatch(producerId, epoch, commit, nowMs)
    this.#store(bytes, 1, nowMs, { producerId, transactional: true, control: true })
  }

  /**
   * Committed reads from `from` on: whole batches up to `maxBytes`, at least one where there is one.
   * @throws KafkaError OFFSET_OUT_OF_RANGE
   */
  fetch(from: number, maxBytes: number): FetchedRange {
    if (from < this.start || from > this.#end)
      throw refused('OFFSET_OUT_OF_RANGE', `${this.topic}/${this.partition} has [${this.#start}, ${this.#end})`, {
        topic: this.topic,
        partition: this.partition,
        offset: from,
      })
    const stable = this.lastStableOffset
    const batches: StoredBatch[] = []
    let byteLength = 0
    for (let i = this.#indexOf(from); i < this.#batches.length; i += 1) {
      const batch = this.#batches[i]
      if (batch.baseOffset >= stable || (batches.length > 0 && byteLength + batch.bytes.length > maxBytes)) break
      batches.push(batch)
      byteLength += batch.bytes.length
    }
    const to = batches.at(-1)?.lastOffset ?? from
    const abortedTransactions = this.#aborted
      .filter(({ firstOffset, lastOffset }) => lastOffset >= from && firstOffset <= to)
      .map(({ producerId, firstOffset }) => ({ producerId: String(producerId), firstOffset: String(firstOffset) }))
    return { batches, abortedTransactions, lastStableOffset: stable, byteLength }
  }

  /** Outcome of the batch's transaction. */
  fateOf({ producerId, transactional, baseOffset }: StoredBatch): 'committed' | 'aborted' | 'open' {
    if (!transactional) return 'committed'
    const open = this.#open.get(producerId)
    if (open !== undefined && baseOffset >= open) return 'open'
    const aborted = this.#aborted.some(
      (one) => one.producerId === producerId && one.firstOffset <= baseOffset && baseOffset <= one.lastOffset,
    )
    return aborted ? 'aborted' : 'committed'
  }

  /** Producers with an open transaction here, by first offset. */
  openTransactions(): { producerId: bigint; firstOffset: number }[] {
    return [...this.#open]
      .map(([producerId, firstOffset]) => ({ producerId, firstOffset }))
      .sort((a, b) => a.firstOffset - b.firstOffset)
  }

  /** Calls back once, at the next change of what can be read; returns a function that cancels. */
  onChange(callback: () => void): () => void {
    this.#waiting.add(callback)
    return () => this.#waiting.delete(callback)
  }

  /** Replaces all batches; offsets must stay the same. */
  replace(batches: StoredBatch[]): void {
    this.#batches = batches
  }

  removeBefore(offset: number): void {
    this.#start = Math.max(this.#start, Math.min(offset, this.#end))
    this.removed.push(...this.#batches.filter(({ lastOffset }) => lastOffset < this.#start))
    this.#batches = this.#batches.filter(({ lastOffset }) => lastOffset >= this.#start)
  }

  /** The repeated batch's offset, or null when this one is next. */
  #sequence(producerId: bigint, epoch: number, firstSequence: number, count: number): number | null {
    const at = { topic: this.topic, partition: this.partition }
    const state = this.#producers.get(producerId)
    const next = { firstSequence, nextSequence: firstSequence + count, baseOffset: this.#end }
    if (state === undefined) {
      this.#producers.set(producerId, { epoch, nextSequence: next.nextSequence, recent: [next] })
      return null
    }
    if (epoch < state.epoch)
      throw refused('INVALID_PRODUCER_EPOCH', `epoch ${epoch} of producer ${producerId} has passed`, at)
    if (epoch > state.epoch) Object.assign(state, { epoch, nextSequence: 0, recent: [] })
    const repeated = state.recent.find(
      (one) => one.firstSequence === firstSequence && one.nextSequence === next.nextSequence,
    )
    if (repeated !== undefined) return repeated.baseOffset
    if (firstSequence !== state.nextSequence)
      throw refused('OUT_OF_ORDER_SEQUENCE_NUMBER', `${firstSequence} where ${state.nextSequence} is next`, at)
    state.nextSequence = next.nextSequence
    state.recent = [...state.recent, next].slice(-RECENT_BATCHES)
    return null
  }

  #store(
    bytes: Buffer,
    count: number,
    nowMs: number,
    kind: Pick<StoredBatch, 'producerId' | 'transactional' | 'control'>,
  ): void {
    const baseOffset = this.#end
    stamp(bytes, baseOffset, this.#appendTime ? nowMs : null)
    this.#batches.push({ baseOffset, lastOffset: baseOffset + count - 1, bytes, ...kind })
    this.#end += count
    const waiting = this.#waiting
    this.#waiting = new Set()
    for (const callback of waiting) callback()
  }

  /** Index of the first batch that reaches to `offset` or beyond. */
  #indexOf(offset: number): number {
    let low = 0
    let high = this.#batches.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#batches[middle].lastOffset < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
