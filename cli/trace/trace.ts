// Follows one reading through write-ahead log, topics and store. What is known first narrows the rest: a stored row names
// its arrival, a raw record's arrival bounds where clean, late, extents and dead letters are. Nothing is read from
// beginning to end unless that is asked for.
import type { Config } from '../../platform/config.ts'
import { InputError } from '../../platform/errors.ts'
import type { FetchSchema } from '../../platform/codec/register.ts'
import type { Place } from '../../platform/dead-letters/letter.ts'
import type { Admin, OffsetRange } from '../../platform/kafka/port.ts'
import type { OrderReader } from '../../platform/order/order-reader.ts'
import type { StoredReading } from '../../platform/store/port.ts'
import { CLEAN, DLQ, DLQ_MARKS, EXTENTS, LATE, ORDER, RAW } from '../../schemas/topics.ts'
import { type Fate, fatesOf, type Found, type FoundLetter } from './core/fates.ts'
import { letterSteps, placeOf, type Step, stepsOf, type Trace } from './core/report.ts'
import type { Target } from './core/target.ts'
import { Finder, FORWARD_MS, isSamePlace } from './finder.ts'
import { Letters } from './letters.ts'
import type { LogSearch } from './log-search.ts'
import { orderSteps } from './order.ts'
import { readRow, type StoredAnswer } from './row.ts'
import { findInWals, type WalEntry } from './wal.ts'

export interface TraceContext {
  readonly config: Config
  readonly admin: Admin
  readonly search: LogSearch
  readonly order: OrderReader | null
  readonly fetchSchema: FetchSchema
  /** Read all of raw instead of searching. */
  readonly scan: boolean
}

export class Tracer {
  readonly #context: TraceContext
  readonly #ranges = new Map<string, readonly OffsetRange[]>()
  readonly #letters: Letters
  readonly #finder: Finder

  private constructor(context: TraceContext, ranges: ReadonlyMap<string, readonly OffsetRange[]>) {
    this.#context = context
    this.#ranges = new Map(ranges)
    this.#letters = new Letters(context.search, this.#of(DLQ), this.#of(DLQ_MARKS))
    this.#finder = new Finder(context.search, ranges, this.#letters, context.scan)
  }

  static async open(context: TraceContext): Promise<Tracer> {
    const topics = await context.admin.listTopics()
    const ranges = new Map<string, readonly OffsetRange[]>()
    for (const topic of [RAW, CLEAN, LATE, EXTENTS, DLQ, DLQ_MARKS, ORDER])
      if (topics.includes(topic)) ranges.set(topic, await context.admin.offsetRanges(topic))
    if (!ranges.has(RAW))
      throw new InputError('UNKNOWN_TOPIC', 'topic', `there is no topic ${RAW} yet: start Plumbline by "plumbline up"`)
    return new Tracer(context, ranges)
  }

  /**
   * By sensor and event time, or by its number.
   * @param known a raw record of it
   */
  async reading(target: Target, known: Found | null = null): Promise<Trace> {
    const wal = findInWals(this.#context.config.DATA_DIR, target)
    const wanted: Target = { ...target, ts: target.ts ?? wal?.reading?.ts ?? null }
    const stored = await readRow(this.#context.config, wanted, wanted.ts)
    const raws = await this.#finder.raws(wanted, stored?.row ?? null, known)
    return this.#trace(wanted, await this.#finder.withOrigins(raws), stored, wal)
  }

  /** By its global sequence. @throws InputError where no reading has it */
  async global(sequence: number): Promise<Trace> {
    const extent = (await this.#context.order?.extentOf(sequence)) ?? null
    if (extent === null)
      throw new InputError('PARAMETER', 'global', `no reading has the global sequence ${sequence} yet`)
    const offset = extent.firstOffset + sequence - extent.baseSequence
    const target = await this.#finder.targetAt({ topic: CLEAN, partition: extent.partition }, offset)
    if (target === null)
      throw new InputError(
        'PARAMETER',
        'global',
        `sequence ${sequence} is ${placeOf({ topic: CLEAN, partition: extent.partition, offset })}, which is not kept any more`,
      )
    return this.reading(target)
  }

  /** By a dead letter's place. @throws InputError where there is none */
  async deadLetter(place: Place): Promise<Trace> {
    const letter = await this.#letters.at(place)
    if (letter === null)
      throw new InputError('NO_LETTER', 'dead-letter', `there is no dead letter at ${place.partition}@${place.offset}`)
    const { topic, partition, offset } = letter.from
    const range = this.#ranges.get(topic)?.[partition]
    const isKept = range !== undefined && offset >= range.start && offset < range.end
    const target = isKept ? await this.#finder.targetAt({ topic, partition }, offset) : null
    if (target === null) return this.#unread(letter, isKept)
    // It may be in a partition where it is not looked for.
    return this.reading(target, topic === RAW ? await this.#finder.recordAt(letter.from, offset) : null)
  }

  /** A record that cannot be read as a reading has no identity: its place is all there is. */
  async #unread(letter: FoundLetter, isKept: boolean): Promise<Trace> {
    const { topic, partition, offset } = letter.from
    const steps: Step[] = []
    if (isKept)
      await this.#context.search.at({ topic, partition }, offset, (batch, i) => {
        steps.push({ step: 'raw', where: placeOf(letter.from), timeMs: batch.timestamp(i), what: 'refused' })
      })
    if (steps.length === 0)
      steps.push({ step: 'raw', where: null, timeMs: null, what: `${placeOf(letter.from)} is not kept any more` })
    const replays = await this.#finder.replays(partition, letter)
    steps.push(...letterSteps(letter))
    const note = 'the record cannot be read as a reading, so that only its place is followed'
    const found = await this.#follow(null, replays)
    return {
      target: null,
      steps: [...steps, ...found.steps],
      fate: 'dead letter',
      notes: [note, ...this.#finder.notes],
    }
  }

  async #trace(
    target: Target,
    raws: readonly Found[],
    stored: StoredAnswer | null,
    found: WalEntry | null,
  ): Promise<Trace> {
    const [first] = raws
    const number = target.number ?? (first !== undefined && first.epoch > 0 ? first : null)
    const known: Target = {
      ...target,
      ts: target.ts ?? first?.ts ?? null,
      number: number === null ? null : { epoch: number.epoch, seq: number.seq },
    }
    // By a number that raw has told, the logs know more than by the time.
    const isNew = target.number === null && known.number !== null
    const wal = isNew ? findInWals(this.#context.config.DATA_DIR, known) : found
    const steps: Step[] = [
      wal?.step ?? { step: 'wal', where: null, timeMs: null, what: 'no write-ahead log of this machine has it' },
    ]
    if (first === undefined) steps.push({ step: 'raw', where: null, timeMs: null, what: 'not found' })
    const answer =
      stored?.row === null && target.ts === null ? await readRow(this.#context.config, known, known.ts) : stored
    const followed = await this.#follow(answer?.row ?? null, raws)
    steps.push(...followed.steps, rowStep(answer, followed.cleans[0] ?? null))
    return { target: known, steps, fate: followed.fate, notes: this.#finder.notes }
  }

  /** From raw records of one reading, in order of their times, to everything after them. */
  async #follow(
    row: StoredReading | null,
    raws: readonly Found[],
  ): Promise<{ steps: Step[]; fate: string; cleans: Found[] }> {
    const [first] = raws
    if (first === undefined) return { steps: [], fate: 'not found', cleans: [] }
    const target = await this.#finder.targetAt({ topic: RAW, partition: first.partition }, first.offset)
    const outcomes = await this.#outcomes(target, raws)
    const letters: FoundLetter[] = []
    for (const partition of new Set(raws.map((raw) => raw.partition))) {
      const places = [...raws, ...outcomes.cleans, ...outcomes.lates].filter((found) => found.partition === partition)
      letters.push(...(await this.#letters.of(partition, new Set(places.map(placeOf)), first.timeMs)))
    }
    const replays: Found[] = []
    for (const letter of letters) replays.push(...(await this.#finder.replays(letter.from.partition, letter)))
    const all = [...raws, ...replays.filter((replay) => !raws.some((raw) => isSamePlace(raw, replay)))]
    const { cleans, lates } = all.length === raws.length ? outcomes : await this.#outcomes(target, all)
    // A correction may have come much later: the row knows the last one's place.
    if (row !== null && row.version > 0 && !lates.some(({ offset }) => offset === row.version - 1))
      this.#finder.notes.push(
        `the row has values of ${placeOf({ topic: LATE, partition: first.partition, offset: row.version - 1 })}`,
      )
    const committed = await this.#context.admin.committedOffsets(this.#context.config.REFINE_GROUP, RAW)
    const isRead = ({ partition, offset }: Found): boolean => offset < (committed[partition]?.offset ?? 0)
    const fates = fatesOf(all, cleans, lates, letters, isRead)
    const steps = [...all.flatMap((raw, i) => stepsOf(raw, fates[i])), ...letters.flatMap(letterSteps)]
    if (cleans.length > 0) steps.push(...(await this.#orderOf(cleans[0])))
    return { steps, fate: fateOf(fates, letters), cleans }
  }

  /** What clean and late have of these records, each within the time that an outcome may take. */
  async #outcomes(target: Target | null, raws: readonly Found[]): Promise<{ cleans: Found[]; lates: Found[] }> {
    const [cleans, lates]: Found[][] = [[], []]
    const coveredMs = new Map<number, number>()
    for (const { partition, timeMs } of target === null ? [] : raws) {
      if (timeMs <= (coveredMs.get(partition) ?? -Infinity)) continue
      const add = async (topic: string, to: Found[], enough: number): Promise<void> => {
        if (enough < 1) return
        for (const found of await this.#finder.after(topic, partition, timeMs, target!, enough))
          if (raws.some(({ value }) => value.equals(found.value)) && !to.some((known) => isSamePlace(known, found)))
            to.push(found)
      }
      // Clean has a reading once; what else was accepted is in late.
      await add(CLEAN, cleans, 1 - cleans.length)
      await add(LATE, lates, raws.length - cleans.length - lates.length)
      coveredMs.set(partition, timeMs + FORWARD_MS / 2)
    }
    return { cleans, lates }
  }

  async #orderOf(clean: Found): Promise<Step[]> {
    const { search, order, fetchSchema } = this.#context
    return (await orderSteps(clean, search, order, this.#of(EXTENTS)[clean.partition], fetchSchema)).steps
  }

  #of(topic: string): readonly OffsetRange[] {
    return this.#ranges.get(topic) ?? []
  }
}

/** That of the last record that is not a repetition; what a sink has refused is a dead letter although clean has it. */
function fateOf(fates: readonly Fate[], letters: readonly FoundLetter[]): string {
  if (letters.some(({ from, state }) => from.topic !== RAW && state === 'open')) return 'dead letter'
  return (fates.findLast(({ kind }) => kind !== 'duplicate') ?? fates[0]).kind
}

function rowStep(stored: StoredAnswer | null, clean: Found | null): Step {
  const none = (what: string): Step => ({ step: 'row', where: null, timeMs: null, what })
  if (stored === null) return none('there is no store yet')
  const { row, store, progress } = stored
  if (row === null) {
    const at =
      clean === null ? undefined : progress.find((each) => each.topic === CLEAN && each.partition === clean.partition)
    const isBehind = clean !== null && (at === undefined || at.offset <= clean.offset)
    return none(isBehind ? 'the sink has not stored it yet' : 'no row has this sensor and event time')
  }
  const values = Object.entries(row.metrics).map(([metric, value]) => `${metric}=${value}`)
  const source = row.version === 0 ? 'from clean' : `last changed by late@${row.version - 1}`
  return {
    step: 'row',
    where: store,
    timeMs: null,
    what: `${values.join(' ')}; ${source}${row.corrected ? ', corrected' : ''}`,
  }
}
