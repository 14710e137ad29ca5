// Finds the records of one reading in the topics: by the arrival of its row, by its sensor's numbers and times, by the time
// of what came before it, by the place that a dead letter names.
import { sensorOfKey } from '../../platform/codec/identity.ts'
import { readPlace } from '../../platform/dead-letters/letter.ts'
import { partitionOfKey } from '../../platform/kafka/partitioner.ts'
import type { OffsetRange } from '../../platform/kafka/port.ts'
import type { StoredReading } from '../../platform/store/port.ts'
import { RAW } from '../../schemas/topics.ts'
import type { Found, FoundLetter } from './core/fates.ts'
import { isTarget, type Target, targetOf } from './core/target.ts'
import type { Letters } from './letters.ts'
import { foundIn, type LogSearch } from './log-search.ts'

/** Before a row's arrival, raw is looked through so far back, ms, in steps. */
const BACK_MS = [10_000, 120_000, 1_800_000]
/** After a raw record's arrival its repetitions are looked for so long, ms: retries of a producer end before. */
const REPEATED_MS = 60_000
/** And its outcome so long, ms, and in so many records. */
export const FORWARD_MS = 600_000
const FORWARD_RECORDS = 1_000_000
/** Raw records of one reading: more are not followed. */
const RAWS_MAX = 1_000
/** A letter's mark and the record that repeats it are of one transaction. */
const REPLAY_SLACK_MS = 60_000

export class Finder {
  readonly notes: string[] = []
  readonly #search: LogSearch
  readonly #ranges: ReadonlyMap<string, readonly OffsetRange[]>
  readonly #letters: Letters
  readonly #isWhole: boolean

  /** @param isWhole raw is read, not searched */
  constructor(
    search: LogSearch,
    ranges: ReadonlyMap<string, readonly OffsetRange[]>,
    letters: Letters,
    isWhole: boolean,
  ) {
    this.#search = search
    this.#ranges = ranges
    this.#letters = letters
    this.#isWhole = isWhole
  }

  /** Raw records of the reading. @param known one of them */
  async raws(target: Target, row: StoredReading | null, known: Found | null = null): Promise<Found[]> {
    const search = this.#search
    const ranges = this.#of(RAW)
    const at = { topic: RAW, partition: partitionOfKey(Buffer.from(target.key, 'latin1'), ranges.length) }
    const range = ranges[at.partition]
    if (this.#isWhole) return this.#scanAll(at.partition, target)
    const [first] = (await this.#before(at, range, target, row)) ?? (await this.#around(at, range, target))
    // Repetitions come after it.
    const found = first === undefined ? [] : await this.#repetitions(first, target)
    if (known !== null && !found.some((raw) => isSamePlace(raw, known))) found.push(known)
    if (found.length > 0) return found
    this.notes.push(
      `not found in ${RAW}/${at.partition} where its times and numbers point to (${search.read.toLocaleString('en')} records read); --scan reads the topic whole`,
    )
    return []
  }

  /** A replay says which letter it repeats, and that letter which record: however long ago that was. */
  async withOrigins(raws: readonly Found[]): Promise<Found[]> {
    const all = [...raws]
    // What is added is looked at as well, since a replay may have been refused again.
    for (let i = 0; i < all.length && all.length < RAWS_MAX; i += 1) {
      const place = readPlace(all[i].replayOf ?? '')
      const letter = place === null ? null : await this.#letters.at(place)
      if (letter === null || letter.from.topic !== RAW) continue
      const { partition, offset } = letter.from
      if (all.some((raw) => isSamePlace(raw, letter.from))) continue
      const found = await this.recordAt({ topic: RAW, partition }, offset)
      if (found !== null) all.push(found)
    }
    return all.sort((a, b) => a.timeMs - b.timeMs || a.offset - b.offset)
  }

  /** The reading at a place, as a record; null where it is none, or not kept any more. */
  async recordAt(at: { topic: string; partition: number }, offset: number): Promise<Found | null> {
    const range = this.#of(at.topic)[at.partition]
    if (range === undefined || offset < range.start || offset >= range.end) return null
    const search = this.#search
    let found: Found | null = null
    await search.at(at, offset, async (batch, i) => {
      const reading = await search.readingIn(batch, i)
      if (reading !== null) found = foundIn(at, batch, i, reading)
    })
    return found
  }

  /** In the partition of the key, and then in the others: a producer with another partitioner may have sent it there. */
  async #scanAll(own: number, target: Target): Promise<Found[]> {
    const others = this.#of(RAW).flatMap((_, partition) => (partition === own ? [] : [partition]))
    for (const partition of [own, ...others]) {
      const [first] = await this.#matches({ topic: RAW, partition }, this.#of(RAW)[partition], target)
      if (first !== undefined) return this.#repetitions(first, target)
    }
    return []
  }

  #repetitions(first: Found, target: Target): Promise<Found[]> {
    const number = first.epoch > 0 ? first : target.number
    return this.#within(RAW, first.partition, first.timeMs, REPEATED_MS, { ...target, ts: first.ts, number })
  }

  /** By the arrival of the row: raw came before it, mostly by less than a second. Null where it is not there. */
  async #before(
    at: { topic: string; partition: number },
    range: OffsetRange,
    target: Target,
    row: StoredReading | null,
  ): Promise<Found[] | null> {
    if (row === null) return null
    const end = await this.#search.offsetAt(at, range, row.arrivalMs + 1)
    let to = end
    for (const backMs of BACK_MS) {
      const from = await this.#search.offsetAt(at, range, row.arrivalMs - backMs)
      const found = await this.#matches(at, { start: Math.max(from, to - FORWARD_RECORDS), end: to }, target)
      if (found.length > 0) return found
      to = from
    }
    return null
  }

  async #around(at: { topic: string; partition: number }, range: OffsetRange, target: Target): Promise<Found[]> {
    const around = await this.#search.around(at, range, target)
    return around === null ? [] : this.#matches(at, around, target)
  }

  async #matches(
    at: { topic: string; partition: number },
    { start, end }: OffsetRange,
    target: Target,
    enough = Infinity,
  ): Promise<Found[]> {
    const found: Found[] = []
    await this.#search.each(at, start, end, target.key, (batch, i, reading) => {
      if (isTarget(target, reading)) found.push(foundIn(at, batch, i, reading))
      return found.length < enough
    })
    return found
  }

  /** Records of the reading from a time on, for as long as its outcome may take. @param enough the search ends with so many */
  async after(topic: string, partition: number, fromMs: number, target: Target, enough: number): Promise<Found[]> {
    return this.#within(topic, partition, fromMs, FORWARD_MS, target, enough)
  }

  async #within(
    topic: string,
    partition: number,
    fromMs: number,
    spanMs: number,
    target: Target,
    enough = Infinity,
  ): Promise<Found[]> {
    const range = this.#of(topic)[partition]
    if (range === undefined) return []
    const at = { topic, partition }
    const start = await this.#search.offsetAt(at, range, fromMs)
    const end = await this.#search.offsetAt(at, { start, end: range.end }, fromMs + spanMs)
    return this.#matches(at, { start, end: Math.min(end, start + FORWARD_RECORDS) }, target, enough)
  }

  /** The raw record that repeats a letter: in the letter's partition, or in that of its key if it was in a wrong one. */
  async replays(partition: number, { place, key, markedMs, state }: FoundLetter): Promise<Found[]> {
    const ranges = this.#of(RAW)
    if (state !== 'replayed' || markedMs === null) return []
    const own = key === null || ranges.length === 0 ? partition : partitionOfKey(key, ranges.length)
    const found: Found[] = []
    for (const each of new Set([partition, own])) {
      const range = ranges[each]
      if (range === undefined) continue
      const at = { topic: RAW, partition: each }
      const from = await this.#search.offsetAt(at, range, markedMs - REPLAY_SLACK_MS)
      const to = await this.#search.offsetAt(at, range, markedMs + REPLAY_SLACK_MS)
      await this.#search.batches(at, from, to, async (batch, end) => {
        for (let i = 0; i < batch.count && batch.offset(i) < end; i += 1) {
          if (!batch.hasHeaders(i)) continue
          const reading = await this.#search.readingIn(batch, i)
          const record = foundIn(at, batch, i, reading ?? { epoch: 0, seq: 0, ts: 0 })
          if (record.replayOf === place) found.push(record)
        }
      })
    }
    return found
  }

  /** The reading at a place; null where it is not one. */
  async targetAt(at: { topic: string; partition: number }, offset: number): Promise<Target | null> {
    let target: Target | null = null
    await this.#search.at(at, offset, async (batch, i) => {
      const reading = await this.#search.readingIn(batch, i)
      const sensor = reading === null ? null : sensorOfKey(Buffer.from(reading.key, 'latin1').toString())
      if (reading === null || sensor === null) return
      target = targetOf(sensor.tenant, sensor.sensor, reading.ts, reading.epoch > 0 ? reading : null)
    })
    return target
  }

  #of(topic: string): readonly OffsetRange[] {
    return this.#ranges.get(topic) ?? []
  }
}

export const isSamePlace = (
  a: { partition: number; offset: number },
  b: { partition: number; offset: number },
): boolean => a.partition === b.partition && a.offset === b.offset
