// The write path of the SQLite store: one batch, one transaction. A batch is grouped by sensor first, so that pages
// of the primary key are touched once. Readings behind a sensor's newest one (nearly all: clean is in order) cannot
// meet a row and go in by plain inserts of many rows; the others are looked up and follow the version rule of port.ts.
//
// Counters per (sensor, epoch) and rollups (sqlite-rollups.ts) are kept in the same transaction. What is remembered of sensors between batches is
// dropped when a transaction fails or when another process has written to the file.
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import type { Metric } from '../../schemas/metrics.ts'
import type { Reading } from '../codec/reading.ts'
import { StoreError } from '../errors.ts'
import type { Anomaly, ProgressUpdate, ReadingRows, Retention, WriteBatch } from './port.ts'
import { SqliteMaintenance } from './sqlite-maintenance.ts'
import { metricColumn, ROW_COLUMNS } from './sqlite-migrations.ts'
import { MASKED_METRICS } from './sqlite-rollup-statements.ts'
import { type Frontier, SqliteRollups } from './sqlite-rollups.ts'

/** Rows per insert: more saves no further time and takes longer to bind (measured by bench/store.ts). */
const CHUNK_ROWS = 20
/** Sensors and sources remembered; beyond it all are forgotten and looked up again. */
const REMEMBERED = 200_000

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

/** What is known of a sensor while the process runs. */
interface SensorState {
  readonly id: number
  readonly frontier: Frontier
  /** Greatest event time stored; -Infinity when there is none. */
  lastTs: number
  /** Where its last reading came from: most readings come from the same source as the one before. */
  site: string
  node: string
  tags: Record<string, string>
  sourceId: number
  /** Rows of the current batch: first and last index, chained by `#next`; -1: none. */
  head: number
  tail: number
}

export class SqliteWriter {
  readonly #db: DatabaseSync
  readonly #metrics: readonly string[]
  readonly #width: number
  readonly #statements: ReturnType<typeof prepare>
  readonly #rollups: SqliteRollups
  readonly #maintenance: SqliteMaintenance
  readonly #tenants = new Map<string, Map<string, SensorState>>()
  #remembered = 0
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
    if (version !== this.#dataVersion || this.#remembered > REMEMBERED) this.#forget()
    this.#dataVersion = version
  }

  #forget(): void {
    this.#tenants.clear()
    this.#rollups.forget()
    this.#remembered = 0
  }

  /** Chains the rows of each sensor in the order of the batch, and the sensors in the order of the primary key. */
  #groupBySensor({ readings }: ReadingRows): void {
    if (this.#next.length < readings.length) this.#next = new Int32Array(readings.length * 2)
    const next = this.#next
    for (let i = 0; i < readings.length; i += 1) {
      const sensor = this.#sensor(readings[i])
      next[i] = -1
      if (sensor.head < 0) {
        sensor.head = i
        this.#touched.push(sensor)
      } else next[sensor.tail] = i
      sensor.tail = i
    }
    this.#touched.sort((a, b) => a.id - b.id)
  }

  #sensor(reading: Reading): SensorState {
    let sensors = this.#tenants.get(reading.tenant_id)
    if (sensors === undefined) this.#tenants.set(reading.tenant_id, (sensors = new Map()))
    let sensor = sensors.get(reading.sensor_id)
    if (sensor === undefined) {
      sensor = this.#loadSensor(reading)
      sensors.set(reading.sensor_id, sensor)
      this.#remembered += 1
    }
    return sensor
  }

  #loadSensor({ tenant_id, sensor_id }: Reading): SensorState {
    const { findSensor, addSensor, lastTs } = this.#statements
    const found = findSensor.get(tenant_id, sensor_id)
    const id = found === undefined ? Number(addSensor.run(tenant_id, sensor_id).lastInsertRowid) : Number(found.id)
    const last = lastTs.get(id)!.ts
    const newest = last === null ? -Infinity : Number(last)
    return {
      id,
      frontier: this.#rollups.frontier(id, newest),
      lastTs: newest,
      site: '',
      node: '',
      tags: {},
      sourceId: -1,
      head: -1,
      tail: -1,
    }
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
      if (sensor.sourceId < 0 || !sameSource(sensor, reading)) this.#moveSensor(sensor, reading)
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
    const { findRow, insert, replace, count, supersede } = this.#statements
    const row = new Array<SQLInputValue>(this.#width)
    this.#bind(row, 0, sensor, reading, version, arrival)
    const stored = findRow.get(sensor.id, reading.ts)
    if (stored === undefined) {
      insert.run(...row)
      count.run(sensor.id, reading.epoch, 1, reading.seq, reading.seq)
      this.#rollups.changed(sensor.frontier, reading.ts)
      return
    }
    const same = stored.version === version && stored.epoch === reading.epoch && stored.seq === reading.seq
    if (!same) supersede.run(sensor.id)
    if (version < Number(stored.version)) return
    replace.run(...row)
    this.#rollups.changed(sensor.frontier, reading.ts)
    if (stored.epoch !== reading.epoch) count.run(sensor.id, stored.epoch, -1, stored.seq, stored.seq)
    count.run(sensor.id, reading.epoch, stored.epoch === reading.epoch ? 0 : 1, reading.seq, reading.seq)
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
    const metrics = this.#metrics
    let { present } = sensor.frontier
    for (let m = 0; m < metrics.length; m += 1) {
      const value = (reading[metrics[m]] ?? null) as SQLInputValue
      if (value !== null && m < MASKED_METRICS) present |= 1 << m
      into[at + 7 + m] = value
    }
    sensor.frontier.present = present
  }

  /** The sensor's reading comes from another source than the one before: finds or adds it. */
  #moveSensor(sensor: SensorState, { site_id, node_id, tags }: Reading): void {
    const { findSource, addSource, addName, findName, addSite, markSites } = this.#statements
    const newSite = sensor.sourceId < 0 || sensor.site !== site_id
    if (newSite && Number(addSite.run(site_id, sensor.id).changes) > 0) markSites.run(sensor.id, sensor.id)
    const json = JSON.stringify(tags, Object.keys(tags).sort())
    const found = findSource.get(site_id, node_id, json)
    if (found === undefined) {
      addName.run(site_id)
      const site = Number(findName.get(site_id)!.id)
      sensor.sourceId = Number(addSource.run(site_id, node_id, json, site).lastInsertRowid)
    } else sensor.sourceId = Number(found.id)
    sensor.site = site_id
    sensor.node = node_id
    sensor.tags = tags
  }

  #writeAnomaly(anomaly: Anomaly): void {
    this.#statements.anomaly.run(...ANOMALY_COLUMNS.map(([, field]) => anomaly[field]))
  }

  #writeProgress({ topic, partition, offset, throughMs, eventMs, after }: ProgressUpdate): void {
    const stored = this.#statements.findOffset.get(topic, partition)?.offset ?? null
    if (stored !== after) {
      const message = `the store stands at ${stored} in ${topic}/${partition}, not at ${after}: another sink has it`
      throw new StoreError('STORE_MOVED', message, { topic, partition, offset })
    }
    this.#statements.progress.run(topic, partition, offset, throughMs, eventMs)
  }
}

function sameSource(sensor: SensorState, { site_id, node_id, tags }: Reading): boolean {
  if (sensor.site !== site_id || sensor.node !== node_id) return false
  let names = 0
  for (const name in tags) {
    if (sensor.tags[name] !== tags[name]) return false
    names += 1
  }
  return names === Object.keys(sensor.tags).length
}

function prepare(db: DatabaseSync, metrics: readonly string[]) {
  const columns = [...ROW_COLUMNS, ...metrics.map(metricColumn)]
  const row = `(${columns.map(() => '?').join(', ')})`
  const into = `INTO readings (${columns.join(', ')}) VALUES`
  return {
    insert: db.prepare(`INSERT ${into} ${row}`),
    insertChunk: db.prepare(`INSERT ${into} ${Array.from({ length: CHUNK_ROWS }, () => row).join(', ')}`),
    replace: db.prepare(`REPLACE ${into} ${row}`),
    findRow: db.prepare('SELECT version, epoch, seq FROM readings WHERE sensor_id = ? AND ts = ?'),
    count:
      db.prepare(`INSERT INTO lanes VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count,
      min_seq = min(min_seq, excluded.min_seq), max_seq = max(max_seq, excluded.max_seq)`),
    supersede: db.prepare('UPDATE sensors SET superseded = superseded + 1 WHERE id = ?'),
    lastTs: db.prepare('SELECT max(ts) AS ts FROM readings WHERE sensor_id = ?'),
    dataVersion: db.prepare('PRAGMA data_version'),
    progress:
      db.prepare(`INSERT INTO progress VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "offset" = excluded."offset",
      through_ms = max(coalesce(through_ms, excluded.through_ms), coalesce(excluded.through_ms, through_ms)),
      event_ms = max(coalesce(event_ms, excluded.event_ms), coalesce(excluded.event_ms, event_ms))`),
    findOffset: db.prepare('SELECT "offset" FROM progress WHERE topic = ? AND partition = ?'),
    anomaly: db.prepare(
      `REPLACE INTO anomalies (${ANOMALY_COLUMNS.map(([column]) => column).join(', ')}) VALUES (${ANOMALY_COLUMNS.map(() => '?').join(', ')})`,
    ),
    findSensor: db.prepare('SELECT id FROM sensors WHERE tenant = ? AND name = ?'),
    addSensor: db.prepare('INSERT INTO sensors (tenant, name) VALUES (?, ?)'),
    findSource: db.prepare('SELECT id FROM sources WHERE site = ? AND node = ? AND tags = ?'),
    addSource: db.prepare('INSERT INTO sources (site, node, tags, site_id) VALUES (?, ?, ?, ?)'),
    addName: db.prepare('INSERT OR IGNORE INTO sites (name) VALUES (?)'),
    findName: db.prepare('SELECT id FROM sites WHERE name = ?'),
    addSite: db.prepare('INSERT OR IGNORE INTO sensor_sites VALUES (?, ?, 1)'),
    markSites: db.prepare(
      'UPDATE sensor_sites SET only_site = ((SELECT count(*) FROM sensor_sites WHERE sensor_id = ?) = 1) WHERE sensor_id = ?',
    ),
  }
}
