// The write path of the TDengine store. TDengine has no transactions, so the order is the protocol:
//
//   1. wait until no earlier write is in doubt        4. sensors' places, then rows, then anomalies
//   2. read progress; refuse the batch if it moved    5. progress, last: whatever it says is stored
//   3. set the rows against what is stored
//
// Broken off anywhere, the same batch comes again and overwrites equal rows with equal rows. Rows after a sensor's
// newest one cannot meet any and are not looked up; that is nearly all of them, since clean is in order.
//
// A write that was not answered in time may still be applied, later than what is written after it. It is therefore
// not given up: `write` rejects, and the next one waits for its real end first. After a broken connection nobody will
// tell, so a pause takes the place of the answer; likewise at the start, for what a killed predecessor had under way.
import { setTimeout as delay } from 'node:timers/promises'
import type { Metric } from '../../../schemas/metrics.ts'
import type { Reading } from '../../codec/reading.ts'
import { StoreError } from '../../errors.ts'
import type { Progress, ProgressUpdate, WriteBatch } from '../port.ts'
import { Refusals, StoreOutageError } from '../store-errors.ts'
import { SensorRows, type StoredRow } from './fold.ts'
import { lookUpOverlaps, type Overlap } from './overlaps.ts'
import { readProgress } from './reads.ts'
import { progressTable } from './rows.ts'
import { chunksOf, insertStatements, subTable, tableIn, type TableRows, TABLES_PER_STATEMENT, timeOf } from './sql.ts'
import { Tables } from './tables.ts'
import type { Rows, SqlTransport } from './transport.ts'

/** Longest wait for a write whose caller sets no bound, ms: a stopped server answers after ten seconds, a frozen one never. */
const WRITE_MS = 15_000
/** After a broken connection, and at the start: long against what the server needs to apply what it had taken in. */
const SETTLE_MS = 2_000
/** Well below the session after which the group gives a silent sink's partitions to another, ms. */
const TRUSTED_MS = 3_000
/** Sensors remembered; beyond it all are forgotten and looked up again. */
const REMEMBERED = 200_000

/** What is known of a sensor while the process runs. */
interface SensorState {
  readonly table: string
  readonly tenant: string
  readonly sensor: string
  /** Greatest event time stored; null: not looked up yet. */
  lastTs: number | null
  /** Site that `places` is known to have. */
  site: string | null
  rows: SensorRows | null
}

export interface TdengineWriterOptions {
  readonly transport: SqlTransport
  readonly database: string
  readonly metrics: readonly Metric[]
  /** Other than the usual one: for tests. */
  readonly settleMs?: number
}

export class TdengineWriter {
  readonly #transport: SqlTransport
  readonly #database: string
  readonly #metrics: readonly string[]
  readonly #settleMs: number
  readonly #sensors = new Map<string, Map<string, SensorState>>()
  #remembered = 0
  /** As this writer left it; where something else is stored, another sink has written, perhaps of the same sensors. */
  #progress: ReadonlyMap<string, Progress> = new Map()
  /** When this writer last moved each partition on. */
  readonly #advancedAtMs = new Map<string, number>()
  /** Ends when no statement that was not answered can be applied any more; null: there is none. */
  #doubt: Promise<void> | null = null

  constructor({ transport, database, metrics, settleMs = SETTLE_MS }: TdengineWriterOptions) {
    this.#transport = transport
    this.#database = database
    this.#metrics = metrics.map(({ name }) => name)
    this.#settleMs = settleMs
    this.#settleAfter(delay(settleMs))
  }

  /** One at a time. Rejects with a StoreError; then any part of the rows may be stored. */
  async write(batch: WriteBatch, signal: AbortSignal = AbortSignal.timeout(WRITE_MS)): Promise<void> {
    if (this.#doubt !== null && !(await endsBefore(this.#doubt, signal)))
      throw new StoreOutageError('TDengine: an earlier write has still not been answered', {}, 'STORE_TIMEOUT')
    const progress = await this.#stored(signal)
    const steps = batch.progress.map((update) => advance(progress, update))
    const touched = this.#groupBySensor(batch)
    try {
      await this.#learn(touched, signal)
      const stored = await this.#lookUp(batch, touched, signal)
      const rows = this.#tables(batch, touched, stored)
      const ends = steps.map((step) => progressTable(this.#database, step))
      for (const sql of [...insertStatements(rows), ...insertStatements(ends)]) await this.#execute(sql, signal)
      this.#remember(batch, touched)
      this.#progress = progress
      const nowMs = performance.now()
      for (const step of steps) this.#advancedAtMs.set(keyOf(step), nowMs)
    } catch (error) {
      this.#forget()
      this.doubtProgress()
      throw error
    } finally {
      for (const sensor of touched) sensor.rows = null
    }
  }

  /** Runs a writing statement; gives up waiting for it, but never the statement itself. */
  async #execute(sql: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw new StoreOutageError('TDengine: the write took too long', {}, 'STORE_TIMEOUT')
    const answer = this.#transport.query(sql)
    // Settled when the server has said how it ended; broken off, when it has had the time to end it.
    const end = answer.then(
      () => undefined,
      (error: unknown) => (isBrokenOff(error) ? delay(this.#settleMs) : undefined),
    )
    this.#settleAfter(end)
    const answered = answer.catch(() => undefined)
    if (!(await endsBefore(answered, signal)))
      throw new StoreOutageError('TDengine: a write was not answered in time', {}, 'STORE_TIMEOUT')
    await answer
    await this.#doubt
  }

  /** Nothing is written until `end`, which never rejects. */
  #settleAfter(end: Promise<void>): void {
    this.#doubt = end.then(() => {
      this.#doubt = null
    })
  }

  /** What is known of progress may be outdated: partitions were reassigned, or a write failed. */
  doubtProgress(): void {
    this.#advancedAtMs.clear()
  }

  /**
   * Progress as it is stored. It is read again unless this writer has itself moved on every partition of it within
   * TRUSTED_MS: then no other sink writes, and none has taken over while this process was frozen. So a lone sink, which
   * moves quiet partitions on every second, too, seldom has to ask.
   */
  async #stored(signal: AbortSignal): Promise<Map<string, Progress>> {
    const known = this.#progress
    const since = performance.now() - TRUSTED_MS
    if (known.size > 0 && [...known.keys()].every((key) => (this.#advancedAtMs.get(key) ?? -Infinity) >= since))
      return new Map(known)
    const progress = await readProgress(this.#transport, this.#database, signal)
    const isOurs = progress.every((at) => known.get(keyOf(at))?.offset === at.offset)
    if (!isOurs || progress.length !== known.size) this.#forget()
    return new Map(progress.map((at) => [keyOf(at), at]))
  }

  #groupBySensor({ rows }: WriteBatch): SensorState[] {
    if (this.#remembered > REMEMBERED) this.#forget()
    const touched: SensorState[] = []
    for (let i = 0; i < rows.readings.length; i += 1) {
      const sensor = this.#sensor(rows.readings[i])
      if (sensor.rows === null) {
        sensor.rows = new SensorRows()
        touched.push(sensor)
      }
      sensor.rows.add(rows, i)
    }
    return touched
  }

  #sensor({ tenant_id: tenant, sensor_id: name }: Reading): SensorState {
    let sensors = this.#sensors.get(tenant)
    if (sensors === undefined) this.#sensors.set(tenant, (sensors = new Map()))
    let sensor = sensors.get(name)
    if (sensor === undefined) {
      const table = subTable('r', tenant, name)
      sensor = { table, tenant, sensor: name, lastTs: null, site: null, rows: null }
      sensors.set(name, sensor)
      this.#remembered += 1
    }
    return sensor
  }

  #forget(): void {
    this.#sensors.clear()
    this.#remembered = 0
  }

  /** The newest event time of sensors that are not known yet. */
  async #learn(touched: readonly SensorState[], signal: AbortSignal): Promise<void> {
    const unknown = touched.filter((sensor) => sensor.lastTs === null)
    for (const sensors of chunksOf(unknown, TABLES_PER_STATEMENT)) {
      const tables = tableIn(sensors.map(({ table }) => table))
      const rows = await this.#transport.query(
        `SELECT tbname,last(ts) FROM ${this.#database}.readings WHERE ${tables} PARTITION BY tbname`,
        signal,
      )
      const newest = new Map(rows.map(([table, ts]) => [table, timeOf(ts)]))
      for (const sensor of sensors) sensor.lastTs = newest.get(sensor.table) ?? -Infinity
    }
  }

  /** Stored rows that rows of the batch may meet. */
  #lookUp({ rows }: WriteBatch, touched: readonly SensorState[], signal: AbortSignal): Promise<Map<string, StoredRow>> {
    const overlaps: Overlap[] = []
    for (const { table, lastTs, rows: own } of touched) {
      for (const { index } of own!.places)
        if (rows.readings[index].ts <= lastTs!) overlaps.push({ table, ts: rows.readings[index].ts })
    }
    const query = (sql: string): Promise<Rows> => this.#transport.query(sql, signal)
    return lookUpOverlaps(query, this.#database, this.#metrics, overlaps)
  }

  /** @throws StorePoisonError that names the rows which no statement can say */
  #tables(batch: WriteBatch, touched: readonly SensorState[], stored: ReadonlyMap<string, StoredRow>): TableRows[] {
    const refusals = new Refusals()
    const tables = new Tables(this.#database, this.#metrics)
    for (const { table, tenant, sensor, site, rows: own } of touched)
      tables.addSensor({ table, tenant, sensor, site }, own!.places, batch.rows, stored, refusals)
    for (const [index, anomaly] of batch.anomalies.entries()) {
      try {
        tables.addAnomaly(anomaly)
      } catch (error) {
        refusals.add('anomaly', index, error)
      }
    }
    refusals.throwIfAny()
    return tables.all
  }

  #remember({ rows }: WriteBatch, touched: readonly SensorState[]): void {
    for (const sensor of touched) {
      for (const { index, others } of sensor.rows!.places) {
        const { ts, site_id: site } = rows.readings[others?.at(-1) ?? index]
        if (ts > sensor.lastTs!) sensor.lastTs = ts
        sensor.site = site
      }
    }
  }
}

/**
 * Progress as it will be after the step, which `stored` then has; times never go back.
 * @throws StoreError STORE_MOVED
 */
function advance(stored: Map<string, Progress>, update: ProgressUpdate): Progress {
  const { topic, partition, offset, after } = update
  const at = stored.get(keyOf(update))
  if ((at?.offset ?? null) !== after) {
    const stands = `the store is at ${at?.offset ?? null} in ${topic}/${partition}, not at ${after}`
    throw new StoreError('STORE_MOVED', `${stands}: another sink has it`, { topic, partition, offset })
  }
  const throughMs = latest(at?.throughMs ?? null, update.throughMs)
  const step = { topic, partition, offset, throughMs, eventMs: latest(at?.eventMs ?? null, update.eventMs) }
  stored.set(keyOf(update), step)
  return step
}

/** True when the promise, which never rejects, ended before the signal. */
async function endsBefore(end: Promise<unknown>, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false
  let late: () => void = () => {}
  const aborted = new Promise<false>((resolve) => signal.addEventListener('abort', (late = () => resolve(false))))
  const ended = await Promise.race([end.then(() => true), aborted])
  signal.removeEventListener('abort', late)
  return ended
}

/** The connection went away before an answer: only that error has a cause. */
const isBrokenOff = (error: unknown): boolean => error instanceof StoreOutageError && error.cause !== undefined

const latest = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : Math.max(a, b))

const keyOf = ({ topic, partition }: { topic: string; partition: number }): string => `${topic}/${partition}`
