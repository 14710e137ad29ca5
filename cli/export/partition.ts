// One partition of an export: fetched step by step, and only the records that may be the node's are examined.
// If its id does not occur in the bytes of a fetch, no record of it is decoded; if it does, the record
// around it is, and its field decides. Memory: one fetch (4 MiB on the wire).
import type { Reading } from '../../platform/codec/reading.ts'
import type { RangeReader } from '../../platform/kafka/port.ts'
import type { RecordBatch } from '../../platform/kafka/record-batch/record-batch.ts'
import { DecodeError, idOf } from '../../platform/codec/framed-decoder.ts'
import type { ReadingDecoder } from '../../platform/codec/reading-decoder.ts'

export interface PartitionPlace {
  readonly topic: string
  readonly partition: number
  /** Offset of the next unexamined record. */
  readonly next: number
  /** Where the export ends. */
  readonly end: number
}

/** A record in which the node's id was found, at the head of what is left of a partition. */
interface Candidate {
  readonly batch: RecordBatch
  readonly index: number
}

export class ExportPartition {
  readonly topic: string
  readonly partition: number
  readonly end: number
  readonly #needle: Buffer
  readonly #decoder: ReadingDecoder
  readonly #onRead: (records: number) => void
  #candidates: Candidate[] = []
  #taken = 0
  #fetchedTo: number

  /** @param onRead told how many records a fetch brought */
  constructor(place: PartitionPlace, nodeId: string, decoder: ReadingDecoder, onRead: (records: number) => void) {
    this.topic = place.topic
    this.partition = place.partition
    this.end = place.end
    this.#fetchedTo = place.next
    this.#needle = Buffer.from(nodeId)
    this.#decoder = decoder
    this.#onRead = onRead
  }

  /** Where to resume if the export stopped now. */
  get place(): PartitionPlace {
    const { topic, partition, end } = this
    const head = this.#candidates.at(this.#taken)
    return { topic, partition, next: head === undefined ? this.#fetchedTo : head.batch.offset(head.index), end }
  }

  get needsFetch(): boolean {
    return this.#taken === this.#candidates.length && this.#fetchedTo < this.end
  }

  /** Arrival time of the head, ms; Infinity if nothing is left. */
  get arrivalMs(): number {
    const head = this.#candidates.at(this.#taken)
    return head === undefined ? Infinity : head.batch.timestamp(head.index)
  }

  /** Fetches until there is a head or the end is reached. */
  async fetch(reader: RangeReader): Promise<void> {
    const { topic, partition } = this
    this.#candidates = []
    this.#taken = 0
    while (this.needsFetch) {
      const from = this.#fetchedTo
      // Asked for one record, a reader returns one fetch.
      await reader.read({ topic, partition }, from, from + 1, ({ batches, nextOffset }) => {
        for (const batch of batches) this.#search(batch, from)
        this.#fetchedTo = Math.min(this.end, nextOffset)
      })
      // Nothing was delivered: only transaction markers and aborted records are left.
      if (this.#fetchedTo === from) this.#fetchedTo = this.end
    }
    await this.#learnSchemas()
  }

  /**
   * Takes the head off.
   * @returns null if it is another node's
   * @throws DecodeError; the head is taken off all the same
   */
  take(): Reading | null {
    const { batch, index } = this.#candidates[this.#taken]
    this.#taken += 1
    const reading = this.#decoder.decodeKnown(batch.value(index)!)
    return this.#needle.equals(Buffer.from(reading.node_id)) ? reading : null
  }

  #search(batch: RecordBatch, from: number): void {
    let hit = batch.bytes.indexOf(this.#needle)
    let records = 0
    for (let i = 0; i < batch.count; i += 1) {
      const offset = batch.offset(i)
      if (offset < from || offset >= this.end) continue
      records += 1
      const at = batch.valueAt(i)
      if (hit >= 0 && hit < at) hit = batch.bytes.indexOf(this.#needle, at)
      if (hit >= at && hit < at + batch.valueLength(i)) this.#candidates.push({ batch, index: i })
    }
    this.#onRead(records)
  }

  async #learnSchemas(): Promise<void> {
    const ids = new Set<number>()
    for (const { batch, index } of this.#candidates) {
      try {
        ids.add(idOf(batch.value(index)!))
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error // taking it says so
      }
    }
    for (const id of ids) {
      try {
        await this.#decoder.learn(id)
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error // taking it says so
      }
    }
  }
}
