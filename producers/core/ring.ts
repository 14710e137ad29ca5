// The bounded memory ring of a producer: readings that are accepted and not yet acknowledged, so that sending and
// sending again need no disk. It holds one contiguous run of indexes. When it is full, newer readings are in the
// write-ahead log alone and the sender reads them from there once it has come so far.
import type { Chunk } from '../../platform/wal/chunk.ts'

export class Ring {
  readonly #capacity: number
  readonly #maxBytes: number
  #chunks: Chunk[] = []
  #start: number
  #end: number
  #bytes = 0

  /**
   * @param capacity readings
   * @param maxBytes bound of memory, since readings differ in size
   * @param index where it begins
   */
  constructor(capacity: number, maxBytes: number, index: number) {
    this.#capacity = capacity
    this.#maxBytes = maxBytes
    this.#start = index
    this.#end = index
  }

  /** First index that is not released. */
  get start(): number {
    return this.#start
  }

  /** Index after the last reading held. */
  get end(): number {
    return this.#end
  }

  /** 0 to 1, by readings or bytes, whichever is nearer to its bound. */
  get fill(): number {
    return Math.min(1, Math.max((this.#end - this.#start) / this.#capacity, this.#bytes / this.#maxBytes))
  }

  /**
   * Takes a chunk that follows on what it holds and fits.
   * @returns false when it does not: the chunk is then in the log alone
   */
  push(chunk: Chunk): boolean {
    const size = chunk.bytes.length
    if (chunk.firstIndex !== this.#end) return false
    if (this.#end + chunk.count - this.#start > this.#capacity || this.#bytes + size > this.#maxBytes) return false
    this.#chunks.push(chunk)
    this.#end += chunk.count
    this.#bytes += size
    return true
  }

  /** The chunk that holds `index`; undefined when it is not in the ring. */
  chunkAt(index: number): Chunk | undefined {
    if (index < this.#start || index >= this.#end) return undefined
    let low = 0
    let high = this.#chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#chunks[middle].firstIndex <= index) low = middle
      else high = middle - 1
    }
    return this.#chunks[low]
  }

  /** Readings below `index` are acknowledged. Memory goes back chunk by chunk. */
  release(index: number): void {
    if (index <= this.#start) return
    let gone = 0
    while (gone < this.#chunks.length && this.#chunks[gone].firstIndex + this.#chunks[gone].count <= index) {
      this.#bytes -= this.#chunks[gone].bytes.length
      gone += 1
    }
    if (gone > 0) this.#chunks = this.#chunks.slice(gone)
    this.#start = index
    this.#end = Math.max(this.#end, index)
  }

  /** Starts over at `index`, when the sender has come to the end of the log without it. */
  restart(index: number): void {
    if (this.#chunks.length > 0) throw new Error('a ring that holds readings cannot restart')
    this.#start = index
    this.#end = index
  }
}
