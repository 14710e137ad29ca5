// The store, as an audit reads it: its offsets first, and after Kafka has been read what every sensor's rows and anomalies
// add up to, and the store's own counters. Where the store offers one, all of it is one consistent snapshot, held open
// for as long as the audit runs. Of the rows only one sum per sensor is kept. Whatever cannot be read is one problem.
import { Fingerprint } from '../platform/codec/fingerprint.ts'
import { labelsOf } from '../platform/codec/labels.ts'
import { METRIC_NAMES } from '../platform/codec/reading.ts'
import type { Config } from '../platform/config.ts'
import { messageOf } from '../platform/errors.ts'
import { describeStore, openStore, storeExists } from '../platform/store/open.ts'
import type {
  Anomaly,
  Progress,
  SensorRef,
  SensorSummary,
  Store,
  StoredReading,
  StoreView,
} from '../platform/store/port.ts'
import type { Findings } from './core/findings.ts'
import { keyOfText, keyText } from './core/records.ts'
import { topicPartition } from './inputs.ts'

const SENSORS_PER_PAGE = 1_000
const ANOMALIES_PER_PAGE = 5_000

/** Rows of one sensor from an event time on. */
export interface StretchSum {
  readonly fingerprint: Fingerprint
  /** Event times of the rows that were left out. */
  readonly leftOut: readonly number[]
}

export class AuditedStore {
  /** Next offset per topic/partition: everything below is stored. */
  readonly offsets: ReadonlyMap<string, number>
  /** Event time from which every row is kept, ms; -Infinity: from the beginning. */
  readonly rowsSince: number
  readonly #store: Store
  readonly #view: StoreView
  readonly #config: Config
  readonly #findings: Findings
  readonly #before: readonly Progress[]
  readonly #release: () => Promise<void>
  #hasFailed = false

  private constructor(
    { store, view, release }: { store: Store; view: StoreView; release: () => Promise<void> },
    { before, rowsSince }: { before: readonly Progress[]; rowsSince: number },
    config: Config,
    findings: Findings,
  ) {
    this.#store = store
    this.#view = view
    this.#release = release
    this.#before = before
    this.#config = config
    this.#findings = findings
    this.rowsSince = rowsSince
    this.offsets = new Map(before.map(({ topic, partition, offset }) => [topicPartition(topic, partition), offset]))
  }

  /** Null if there is no store, or it does not answer. */
  static async open(config: Config, findings: Findings): Promise<AuditedStore | null> {
    let store: Store | null = null
    try {
      if (!(await storeExists(config))) {
        findings.note(`${describeStore(config)} does not exist yet; the audit ends at clean and late`)
        return null
      }
      store = openStore(config, 'read')
      const { view, release } = await hold(store)
      const before = await view.progress()
      const rowsSince = (await view.rowsSince()) ?? -Infinity
      if (rowsSince > -Infinity)
        findings.note(`rows before ${new Date(rowsSince).toISOString()} were removed from the store by their age`)
      return new AuditedStore({ store, view, release }, { before, rowsSince }, config, findings)
    } catch (error) {
      findings.problem('STORE_UNAVAILABLE', `${describeStore(config)} cannot be read: ${messageOf(error)}`)
      await store?.close()
      return null
    }
  }

  async close(): Promise<void> {
    await this.#release()
    await this.#store.close()
  }

  /** Nothing has been written since the offsets were read; otherwise rows may be ahead of them. */
  async isStill(): Promise<boolean> {
    const after = await this.#attempt(() => this.#view.progress())
    return after !== null && isSame(this.#before, after)
  }

  /** By key (latin1 text), of all rows. Null if they cannot be read. */
  fingerprints(): Promise<Map<string, Fingerprint> | null> {
    return this.#attempt(async () => {
      const from = this.rowsSince === -Infinity ? undefined : this.rowsSince
      const fingerprints = new Map<string, Fingerprint>()
      for await (const { tenant, sensor, fingerprint } of this.#view.fingerprints(from))
        fingerprints.set(keyOf({ tenant, sensor }), fingerprint)
      return fingerprints
    })
  }

  /** Of the rows of one sensor from an event time on. @param isLeftOut rows that are not summed */
  stretch(key: string, from: number, isLeftOut: (row: StoredReading) => boolean): Promise<StretchSum | null> {
    return this.#attempt(async () => {
      const fingerprint = new Fingerprint()
      const leftOut: number[] = []
      for await (const page of this.rows(key, from))
        for (const row of page)
          if (isLeftOut(row)) leftOut.push(row.ts)
          else fingerprint.add(row, labelsOf(row), row.metrics, METRIC_NAMES)
      return { fingerprint, leftOut }
    })
  }

  /** All rows of one sensor in order of event time. */
  rows(key: string, from = this.rowsSince): AsyncIterable<readonly StoredReading[]> {
    const at = Math.max(from, this.rowsSince)
    return this.#view.rows(refOf(key), at === -Infinity ? undefined : at)
  }

  /** All anomalies, newest first; @param of only those of one sensor */
  async *anomalies(of?: string): AsyncGenerator<readonly Anomaly[]> {
    const { tenant, sensor } = of === undefined ? {} : refOf(of)
    let to: number | undefined
    for (let limit = ANOMALIES_PER_PAGE; ;) {
      const page = await this.#view.anomalies({ tenant, sensor, to }, limit)
      if (page.length < limit) return yield page
      // The last ones may have neighbours of the same event time that were cut off.
      const last = page[page.length - 1].ts
      const whole = page.filter(({ ts }) => ts > last)
      if (whole.length === 0) {
        limit *= 2
        continue
      }
      yield whole
      to = last + 1
      limit = ANOMALIES_PER_PAGE
    }
  }

  /** Runs a read; null, and a problem once, if the store fails. */
  async #attempt<T>(read: () => Promise<T>): Promise<T | null> {
    if (this.#hasFailed) return null
    try {
      return await read()
    } catch (error) {
      this.failed(error)
      return null
    }
  }

  /** The store could not be read: said once. */
  failed(error: unknown): void {
    if (!this.#hasFailed)
      this.#findings.problem('STORE_UNAVAILABLE', `${describeStore(this.#config)} cannot be read: ${messageOf(error)}`)
    this.#hasFailed = true
  }

  /** Compares the counters maintained by writes with the rows themselves. */
  async compareCounters(): Promise<void> {
    if (!(await this.isStill())) return
    await this.#attempt(async () => {
      const counted = new Map((await this.#view.countsPerSensor()).map((at) => [keyOf(at), at]))
      const spans = await this.#spans()
      let after: SensorRef | undefined
      for (;;) {
        const page = await this.#view.sensors({ after, limit: SENSORS_PER_PAGE })
        for (const at of page) this.#compareCount(at, counted.get(keyOf(at))?.count ?? 0)
        if (spans !== null) await this.#compareSpans(page, spans, (at) => counted.get(keyOf(at))?.superseded ?? 0)
        if (page.length < SENSORS_PER_PAGE) return
        after = page.at(-1)
      }
    })
  }

  #compareCount(at: SensorSummary, rows: number): void {
    if (at.count !== rows)
      this.#findings.problem(
        'STORE_COUNTERS',
        `the store's counters say ${at.count} readings of ${keyText(keyOf(at))}; it has ${rows}`,
      )
  }

  /** Numbers from the first to the last of every epoch, by sensor; null where rows were removed by their age. */
  async #spans(): Promise<Map<string, number> | null> {
    if (this.rowsSince > -Infinity) return null
    const spans = new Map<string, number>()
    for (const { epoch, minSeq, maxSeq, ...at } of await this.#view.coverage())
      if (epoch !== 0) spans.set(keyOf(at), (spans.get(keyOf(at)) ?? 0) + maxSeq - minSeq + 1)
    return spans
  }

  /**
   * Answers say how complete they are by these counters; a page is asked at once, and sensor by sensor if it differs. A
   * reading that shares the row of another has a number but no row: then the counters may span more than the rows.
   */
  async #compareSpans(
    page: readonly SensorSummary[],
    spans: ReadonlyMap<string, number>,
    supersededOf: (at: SensorRef) => number,
  ): Promise<void> {
    const wanted = (at: SensorRef): number => spans.get(keyOf(at)) ?? 0
    const total = page.reduce((sum, at) => sum + wanted(at), 0)
    if ((await this.#view.seqCount(page)).expected === total) return
    for (const at of page) {
      const { expected } = await this.#view.seqCount([at])
      if (expected < wanted(at) || (expected > wanted(at) && supersededOf(at) === 0))
        this.#findings.problem(
          'STORE_COUNTERS',
          `the store's counters say ${expected} numbers of ${keyText(keyOf(at))} from first to last; its rows span ${wanted(at)}`,
        )
    }
  }
}

/** The view of a read that stays open until it is released. */
async function hold(store: Store): Promise<{ view: StoreView; release: () => Promise<void> }> {
  const opened = Promise.withResolvers<StoreView>()
  const released = Promise.withResolvers<void>()
  const reading = store.read(async (view) => {
    opened.resolve(view)
    await released.promise
  })
  reading.catch((error: unknown) => opened.reject(error as Error))
  const view = await opened.promise
  const release = (): Promise<void> => {
    released.resolve()
    return reading.catch(() => undefined)
  }
  return { view, release }
}

export const keyOf = ({ tenant, sensor }: SensorRef): string => keyOfText(`${tenant}/${sensor}`)

/** A tenant has no slash. */
function refOf(key: string): SensorRef {
  const text = keyText(key)
  const at = text.indexOf('/')
  return { tenant: text.slice(0, at), sensor: text.slice(at + 1) }
}

const isSame = (a: readonly Progress[], b: readonly Progress[]): boolean =>
  a.length === b.length && a.every((one, i) => one.offset === b[i].offset && one.topic === b[i].topic)
