// The write path of the SQLite store: one batch, one transaction. A batch is grouped by sensor first, so that pages
// of the primary key are touched once. Readings after a sensor's newest one (nearly all: clean is in order) cannot
// meet a row and are inserted many at a time; the others are looked up and merged by the rule of merge.ts.
//
// Counters per (sensor, epoch) and rollups (sqlite-rollups.ts) are kept in the same transaction. What is remembered of
// sensors between batches (sqlite-sensors.ts) is dropped when a transaction fails or when another process has written to
// the file.
import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite'
import type { Metric } from '../../../schemas/metrics.ts'
import type { Reading } from '../../codec/reading.ts'
import { StoreError } from '../../errors.ts'
import { erasedBy, historyOf, merge, rowOf, storedRow } from '../merge.ts'
import type { Anomaly, ProgressUpdate, ReadingRows, Retention, WriteBatch } from '../port.ts'
import { SqliteMaintenance } from './maintenance.ts'
import { metricColumn, ROW_COLUMNS } from './migrations.ts'
import { MASKED_METRICS } from './rollup-statements.ts'
import { SqliteRollups } from './rollups.ts'
import { type SensorState, SqliteSensors } from './sensors.ts'
import type { RefusedRow } from '../store-errors.ts'

/** Rows per insert: more saves no further time and takes longer to bind (measured by bench/store.ts). */
const CHUNK_ROWS = 20

/** Columns of anomalies and the fields that fill them. */
const ANOMALY_COLUMNS = [
  ['tenant', 'tenant_id'],
  ['sensor', 'sensor_id'],
  ['site', 'site_id'],
  ['node', 'node_id'],
  ...(['epoch', 'seq', 'ts', 'metric', 'value', 'detector', 'score', 'threshold', 'mean', 'stddev'] as const).map(
    (name) => [name, name] as const,
  ),
  ['window_count', 'window_count'],
] as const

/** A row as it is read back: these columns, and the metrics by name. */
interface StoredRow {
  readonly version: number
  readonly epoch: number
  readonly seq: number
  readonly source_id: number
  readonly arrival: number
  readonly history: string | null
  readonly [metric: string]: SQLOutputValue
}

export class SqliteWriter {
  readonly #db: DatabaseSync
  readonly #metrics: readonly string[]
  readonly #width: number
  readonly #statements: ReturnType<typeof prepare>
  readonly #rollups: SqliteRollups
  readonly #maintenance: SqliteMaintenance
  readonly #sensors: SqliteSensors
  #dataVersion = -1
  #next = new Int32Array(0)
  readonly #touched: SensorState[] = []
  readonly #chunk: SQLInputValue[]
  #chunkRows = 0

  constructor(db: DatabaseSync, metrics: readonly Metric[]) {
    this.#db = db
    this.#metrics = metrics.map((metric) => metric.name)
    this.#width = ROW_COLUMNS.length + metrics.length
    this.#statements = prepare(db, this.#metrics)
    this.#rollups = new SqliteRollups(db, metrics)
    this.#sensors = new SqliteSensors(db, this.#rollups)
    this.#maintenance = new SqliteMaintenance(db, this.#rollups)
    this.#chunk = new Array<SQLInputValue>(CHUNK_ROWS * this.#width).fill(null)
  }

  /** Throws what SQLite throws; then nothing of the batch is stored. */
  write({ rows, anomalies, progress }: WriteBatch): void {
    try {
      this.#transact(() => {
        this.#groupBySensor(rows)
        for (const sensor of this.#touched) this.#writeSensor(sensor, rows)
        this.#flushChunk()
        this.#rollups.settle(rows.readings.length)
        for (const anomaly of anomalies) this.#writeAnomaly(anomaly)
        for (const at of progress) this.#writeProgress(at)
      })
    } finally {
      for (const sensor of this.#touched) sensor.head = sensor.tail = -1
      this.#touched.length = 0
      this.#chunkRows = 0
    }
  }

  /**
   * Tries a refused batch row by row, but for rows that would give way to what is stored, and takes it all back: so the
   * rows at fault are found in one pass, however many.
   * @param reasonOf why, of what SQLite threw; null where it is not the row's fault, which is then thrown on
   */
  findRefused({ rows, anomalies }: WriteBatch, reasonOf: (error: unknown) => string | null): RefusedRow[] {
    const refused: RefusedRow[] = []
    const attempt = (kind: RefusedRow['kind'], index: number, write: () => void): void => {
      try {
        write()
      } catch (error) {
        const reason = reasonOf(error)
        // A refusal that has ended the transaction says nothing of the rows after it.
        if (reason === null || !this.#db.isTransaction) throw error
        refused.push({ kind, index, reason })
      }
    }
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      const row = new Array<SQLInputValue>(this.#width)
      rows.readings.forEach((reading, i) =>
        attempt('reading', i, () => {
          const sensor = this.#sensors.of(reading)
          const stored = this.#statements.findRow.get(sensor.id, reading.ts)
          if (stored !== undefined && rows.versions[i] < Number(stored.version)) return
          this.#sensors.place(sensor, reading)
          this.#bind(row, 0, sensor, reading, rows.versions[i], rows.arrivals[i])
          this.#statements.replace.run(...row)
        }),
      )
      anomalies.forEach((anomaly, i) => attempt('anomaly', i, () => this.#writeAnomaly(anomaly)))
      return refused
    } finally {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      this.#forget()
    }
  }

  /** One step of maintenance; see port.ts. */
  maintain(nowMs: number, keep: Retention): boolean {
    return this.#transact(() => this.#maintenance.step(nowMs, keep))
  }

  #transact<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      this.#dropStaleState()
      const result = work()
      this.#db.exec('COMMIT')
      return result
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      this.#forget()
      throw error
    }
  }

  #dropStaleState(): void {
    const version = Number(this.#statements.dataVersion.get()!.data_version)
    if (version !== this.#dataVersion || this.#sensors.areTooMany) this.#forget()
    this.#dataVersion = version
  }

  #forget(): void {
    this.#sensors.forget()
    this.#rollups.forget()
  }

  /** Chains the rows of each sensor in the order of the batch, and the sensors in the order of the primary key. */
  #groupBySensor({ readings }: ReadingRows): void {
    if (this.#next.length < readings.length) this.#next = new Int32Array(readings.length * 2)
    const next = this.#next
    for (let i = 0; i < readings.length; i += 1) {
      const sensor = this.#sensors.of(readings[i])
      next[i] = -1
      if (sensor.head < 0) {
        sensor.head = i
        this.#touched.push(sensor)
      } else next[sensor.tail] = i
      sensor.tail = i
    }
    this.#touched.sort((a, b) => a.id - b.id)
  }

  #writeSensor(sensor: SensorState, { readings, versions, arrivals }: ReadingRows): void {
    // The run of new rows of one epoch; it is counted when the epoch changes and at the end.
    let epoch = 0
    let count = 0
    let minSeq = 0
    let maxSeq = 0
    let appended = 0
    // Least event time of this sensor that waits in the chunk: from there on the table does not know everything.
    let waitingTs = Infinity
    for (let i = sensor.head; i >= 0; i = this.#next[i]) {
      const reading = readings[i]
      this.#sensors.place(sensor, reading)
      if (reading.ts <= sensor.lastTs) {
        if (reading.ts >= waitingTs) {
          this.#flushChunk()
          waitingTs = Infinity
        }
        this.#writeOverlapping(sensor, reading, versions[i], arrivals[i])
        continue
      }
      if (count > 0 && reading.epoch !== epoch) {
        this.#statements.count.run(sensor.id, epoch, count, minSeq, maxSeq)
        count = 0
      }
      if (count === 0) {
        epoch = reading.epoch
        minSeq = maxSeq = reading.seq
      }
      count += 1
      appended += 1
      minSeq = Math.min(minSeq, reading.seq)
      maxSeq = Math.max(maxSeq, reading.seq)
      sensor.lastTs = reading.ts
      this.#bind(this.#chunk, this.#chunkRows * this.#width, sensor, reading, versions[i], arrivals[i])
      this.#chunkRows += 1
      waitingTs = Math.min(waitingTs, reading.ts)
      if (this.#chunkRows === CHUNK_ROWS) {
        this.#statements.insertChunk.run(...this.#chunk)
        this.#chunkRows = 0
        waitingTs = Infinity
      }
    }
    if (count > 0) this.#statements.count.run(sensor.id, epoch, count, minSeq, maxSeq)
    if (appended > 0) this.#rollups.appended(sensor.frontier, appended, sensor.lastTs)
  }

  /** Inserts what the chunk holds, row by row: it is not full. */
  #flushChunk(): void {
    for (let row = 0; row < this.#chunkRows; row += 1)
      this.#statements.insert.run(...this.#chunk.slice(row * this.#width, (row + 1) * this.#width))
    this.#chunkRows = 0
  }

  /** A row that may meet another of the same identity. */
  #writeOverlapping(sensor: SensorState, reading: Reading, version: number, arrival: number): void {
    const { findRow, insert, replace, count, supersede, join } = this.#statements
    const row = new Array<SQLInputValue>(this.#width)
    this.#bind(row, 0, sensor, reading, version, arrival)
    this.#rollups.changed(sensor.frontier, reading.ts)
    const stored = findRow.get(sensor.id, reading.ts) as StoredRow | undefined
    if (stored === undefined) {
      insert.run(...row)
      count.run(sensor.id, reading.epoch, 1, reading.seq, reading.seq)
      return
    }
    const values = this.#metrics.map((name) => stored[name] as number | null)
    const before = storedRow(stored, values, stored.history, this.#metrics)
    const { row: merged, isLatest, joined } = merge(before, reading, version, this.#metrics)
    const { first } = merged
    const [source, arrived] = isLatest ? [sensor.sourceId, arrival] : [stored.source_id, stored.arrival]
    const history = historyOf(merged, this.#metrics)
    const columns = [merged.version, first.epoch, first.seq, source, arrived, history]
    replace.run(sensor.id, reading.ts, ...columns, ...merged.values)
    if (joined === null) return
    supersede.run(sensor.id)
    const isOther = joined.epoch !== first.epoch || joined.seq !== first.seq
    if (joined.epoch !== 0 && isOther) join.run(sensor.id, joined.epoch, joined.seq)
    // The place is counted for the epoch of its first reading; the numbers of both widen their epochs.
    const hasMoved = first !== before.first
    count.run(sensor.id, reading.epoch, hasMoved ? 1 : 0, reading.seq, reading.seq)
    if (hasMoved) count.run(sensor.id, joined.epoch, -1, joined.seq, joined.seq)
  }

  #bind(
    into: SQLInputValue[],
    at: number,
    sensor: SensorState,
    reading: Reading,
    version: number,
    arrival: number,
  ): void {
    into[at] = sensor.id
    into[at + 1] = reading.ts
    into[at + 2] = version
    into[at + 3] = reading.epoch
    into[at + 4] = reading.seq
    into[at + 5] = sensor.sourceId
    into[at + 6] = arrival
    into[at + 7] =
      erasedBy(reading).length === 0 ? null : historyOf(rowOf(reading, version, this.#metrics), this.#metrics)
    const metrics = this.#metrics
    let { present } = sensor.frontier
    for (let m = 0; m < metrics.length; m += 1) {
      const value = (reading[metrics[m]] ?? null) as SQLInputValue
      if (value !== null && m < MASKED_METRICS) present |= 1 << m
      into[at + ROW_COLUMNS.length + m] = value
    }
    sensor.frontier.present = present
  }

  #writeAnomaly(anomaly: Anomaly): void {
    this.#statements.anomaly.run(...ANOMALY_COLUMNS.map(([, field]) => anomaly[field]))
  }

  #writeProgress({ topic, partition, offset, throughMs, eventMs, after }: ProgressUpdate): void {
    const stored = this.#statements.findOffset.get(topic, partition)?.offset ?? null
    if (stored !== after) {
      const message = `the store is at ${stored} in ${topic}/${partition}, not at ${after}: another sink has it`
      throw new StoreError('STORE_MOVED', message, { topic, partition, offset })
    }
    this.#statements.progress.run(topic, partition, offset, throughMs, eventMs)
  }
}

function prepare(db: DatabaseSync, metrics: readonly string[]) {
  const columns = [...ROW_COLUMNS, ...metrics.map(metricColumn)]
  const row = `(${columns.map(() => '?').join(', ')})`
  const into = `INTO readings (${columns.join(', ')}) VALUES`
  return {
    insert: db.prepare(`INSERT ${into} ${row}`),
    insertChunk: db.prepare(`INSERT ${into} ${Array.from({ length: CHUNK_ROWS }, () => row).join(', ')}`),
    replace: db.prepare(`REPLACE ${into} ${row}`),
    findRow: db.prepare(`SELECT ${columns.join(', ')} FROM readings WHERE sensor_id = ? AND ts = ?`),
    join: db.prepare('INSERT OR IGNORE INTO joined VALUES (?, ?, ?)'),
    count:
      db.prepare(`INSERT INTO lanes VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count,
      min_seq = min(min_seq, excluded.min_seq), max_seq = max(max_seq, excluded.max_seq)`),
    supersede: db.prepare('UPDATE sensors SET superseded = superseded + 1 WHERE id = ?'),
    dataVersion: db.prepare('PRAGMA data_version'),
    progress:
      db.prepare(`INSERT INTO progress VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "offset" = excluded."offset",
      through_ms = max(coalesce(through_ms, excluded.through_ms), coalesce(excluded.through_ms, through_ms)),
      event_ms = max(coalesce(event_ms, excluded.event_ms), coalesce(excluded.event_ms, event_ms))`),
    findOffset: db.prepare('SELECT "offset" FROM progress WHERE topic = ? AND partition = ?'),
    anomaly: db.prepare(
      `REPLACE INTO anomalies (${ANOMALY_COLUMNS.map(([column]) => column).join(', ')}) VALUES (${ANOMALY_COLUMNS.map(() => '?').join(', ')})`,
    ),
  }
}
