// The read path of the SQLite store: every question of port.ts on one connection, inside the read transaction that
// sqlite.ts opened. Texts from outside are bound, never spliced; only metric columns, which come from
// schemas/reading.avsc, are in statements.
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'
import type { Metric } from '../../../schemas/metrics.ts'
import { Fingerprint, type RowIdentity } from '../../codec/fingerprint.ts'
import { labelsOf } from '../../codec/labels.ts'
import { Breather } from '../breather.ts'
import type {
  Aggregate,
  AggregateQuery,
  Anomaly,
  AnomalyFilter,
  Coverage,
  Progress,
  SensorCount,
  SensorFingerprint,
  SensorQuery,
  SensorRef,
  SensorSummary,
  SeqCount,
  StoredReading,
  StoreView,
} from '../port.ts'
import { isCorrected } from '../merge.ts'
import { BEGINNING_MS } from '../rollup-plan.ts'
import { aggregateSite } from './aggregate.ts'
import { metricColumn } from './migrations.ts'
import { readHorizons } from './rollup-statements.ts'
import { countJoined, JOINED } from './seqs.ts'

type Row = Record<string, SQLOutputValue>

/** Rows in memory at once where all rows of a sensor are read. */
const ROWS_PER_PAGE = 5_000
/** Sources whose labels are remembered while rows are summed. */
const LABELS_KEPT_MAX = 100_000

export class SqliteView implements StoreView {
  readonly #db: DatabaseSync
  readonly #metrics: readonly Metric[]
  readonly #statements = new Map<string, StatementSync>()

  constructor(db: DatabaseSync, metrics: readonly Metric[]) {
    this.#db = db
    this.#metrics = metrics
  }

  async progress(): Promise<Progress[]> {
    return this.#all(
      'SELECT topic, partition, "offset", through_ms, event_ms FROM progress ORDER BY topic, partition',
    ).map((row) => ({
      topic: String(row.topic),
      partition: Number(row.partition),
      offset: Number(row.offset),
      throughMs: orNull(row.through_ms),
      eventMs: orNull(row.event_ms),
    }))
  }

  async tenantsOf(sensor: string, limit: number): Promise<string[]> {
    return this.#all('SELECT tenant FROM sensors WHERE name = ? ORDER BY tenant LIMIT ?', sensor, limit).map((row) =>
      String(row.tenant),
    )
  }

  async tenantsAt(site: string, limit: number): Promise<string[]> {
    return this.#all(
      'SELECT DISTINCT s.tenant FROM sensor_sites ss CROSS JOIN sensors s ON s.id = ss.sensor_id WHERE ss.site = ? ORDER BY s.tenant LIMIT ?',
      site,
      limit,
    ).map((row) => String(row.tenant))
  }

  async sensors({ sensor, site, tenant, after, limit }: SensorQuery): Promise<SensorSummary[]> {
    const conditions = where([
      ['s.id IN (SELECT sensor_id FROM sensor_sites WHERE site = ?)', site],
      ['s.name = ?', sensor],
      ['s.tenant = ?', tenant],
      ['(s.tenant, s.name) > (?, ?)', after?.tenant, after?.sensor],
    ])
    const rows = this.#all(
      `SELECT s.tenant, s.name, p.site, p.node, r.ts, (SELECT sum(count) FROM lanes l WHERE l.sensor_id = s.id) AS count
       FROM sensors s JOIN readings r ON r.sensor_id = s.id AND r.ts = (SELECT max(ts) FROM readings WHERE sensor_id = s.id)
       JOIN sources p ON p.id = r.source_id ${conditions.sql} ORDER BY s.tenant, s.name LIMIT ?`,
      ...conditions.values,
      limit,
    )
    return rows.map((row) => ({
      tenant: String(row.tenant),
      sensor: String(row.name),
      site: String(row.site),
      node: String(row.node),
      count: Number(row.count),
      lastTs: Number(row.ts),
    }))
  }

  async seqCount(sensors: readonly SensorRef[]): Promise<SeqCount> {
    let present = 0
    let expected = 0
    for (const { tenant, sensor } of sensors) {
      const [row] = this.#all(
        `WITH sensor AS (SELECT id FROM sensors WHERE tenant = ? AND name = ?),
         lane AS (SELECT count, max_seq - min_seq + 1 AS expected,
           (SELECT count(*) FROM joined j WHERE j.sensor_id = l.sensor_id AND j.epoch = l.epoch) AS joined
           FROM lanes l WHERE sensor_id = (SELECT id FROM sensor) AND epoch <> 0)
         SELECT total(count + joined) AS present, total(expected) AS expected FROM lane WHERE count + joined > 0`,
        tenant,
        sensor,
      )
      present += Number(row.present)
      expected += Number(row.expected)
    }
    return { present, expected }
  }

  async seqCountWithin({ tenant, sensor }: SensorRef, from: number, to: number): Promise<SeqCount> {
    const [found] = this.#all('SELECT id FROM sensors WHERE tenant = ? AND name = ?', tenant, sensor)
    if (found === undefined) return { present: 0, expected: 0 }
    const lanes = this.#all(
      `SELECT epoch, count(*) AS n, min(seq) AS low, max(seq) AS high FROM readings
       WHERE sensor_id = ? AND ts >= ? AND ts < ? AND epoch <> 0 GROUP BY epoch`,
      found.id,
      from,
      to,
    )
    let present = 0
    let expected = 0
    for (const { epoch, n, low, high } of lanes) {
      present +=
        Number(n) + countJoined(this.#statement(JOINED), Number(found.id), Number(epoch), Number(low), Number(high))
      expected += Number(high) - Number(low) + 1
    }
    return { present, expected }
  }

  async recent({ tenant, sensor }: SensorRef, limit: number): Promise<StoredReading[] | null> {
    const [found] = this.#all('SELECT id FROM sensors WHERE tenant = ? AND name = ?', tenant, sensor)
    if (found === undefined) return null
    const rows = this.#all(
      'SELECT r.*, p.site, p.node, p.tags FROM readings r JOIN sources p ON p.id = r.source_id WHERE sensor_id = ? ORDER BY ts DESC LIMIT ?',
      found.id,
      limit,
    )
    return rows.map((row) => this.#reading({ tenant, sensor }, row))
  }

  #reading({ tenant, sensor }: SensorRef, row: Row): StoredReading {
    return {
      tenant,
      sensor,
      site: String(row.site),
      node: String(row.node),
      ts: Number(row.ts),
      epoch: Number(row.epoch),
      seq: Number(row.seq),
      version: Number(row.version),
      arrivalMs: Number(row.arrival),
      tags: JSON.parse(String(row.tags)) as Record<string, string>,
      metrics: presentMetrics(this.#metrics, row),
      corrected: isCorrected(row.history as string | null),
    }
  }

  aggregate(query: AggregateQuery): Promise<Aggregate> {
    return aggregateSite(this.#db, this.#metrics, query)
  }

  async anomalies({ tenant, sensor, site, from, to }: AnomalyFilter, limit: number): Promise<Anomaly[]> {
    const conditions = where([
      ['tenant = ?', tenant],
      ['sensor = ?', sensor],
      ['site = ?', site],
      ['ts >= ?', from],
      ['ts < ?', to],
    ])
    return this.#all(
      `SELECT * FROM anomalies ${conditions.sql} ORDER BY ts DESC LIMIT ?`,
      ...conditions.values,
      limit,
    ).map(
      ({ tenant, sensor, site, node, ...rest }) =>
        ({ tenant_id: tenant, site_id: site, node_id: node, sensor_id: sensor, ...rest }) as unknown as Anomaly,
    )
  }

  async totals(): Promise<{ sensors: number; readings: number; superseded: number; anomalies: number }> {
    const [row] = this
      .#all(`SELECT (SELECT count(*) FROM sensors) AS sensors, (SELECT total(count) FROM lanes) AS readings,
      (SELECT total(superseded) FROM sensors) AS superseded, (SELECT count(*) FROM anomalies) AS anomalies`)
    return {
      sensors: Number(row.sensors),
      readings: Number(row.readings),
      superseded: Number(row.superseded),
      anomalies: Number(row.anomalies),
    }
  }

  async countsPerSensor(range?: { epoch: number; fromSeq: number; toSeq: number }): Promise<SensorCount[]> {
    const counts: SensorCount[] = []
    const filter = range === undefined ? '' : 'AND epoch = ? AND seq BETWEEN ? AND ?'
    const values = range === undefined ? [] : [range.epoch, range.fromSeq, range.toSeq]
    for await (const { id, tenant, name, superseded, expired } of this.#eachSensor()) {
      const [row] = this.#all(`SELECT count(*) AS count FROM readings WHERE sensor_id = ? ${filter}`, id, ...values)
      counts.push({
        tenant: String(tenant),
        sensor: String(name),
        count: Number(row.count) + (range === undefined ? Number(expired) : 0),
        superseded: Number(superseded),
      })
    }
    return counts
  }

  async coverage(): Promise<Coverage[]> {
    const coverage: Coverage[] = []
    for await (const { id, tenant, name } of this.#eachSensor()) {
      const rows = this.#all(
        'SELECT epoch, count(*) AS count, min(seq) AS low, max(seq) AS high FROM readings WHERE sensor_id = ? GROUP BY epoch',
        id,
      )
      for (const { epoch, count, low, high } of rows) {
        const numbers = { epoch: Number(epoch), count: Number(count), minSeq: Number(low), maxSeq: Number(high) }
        coverage.push({ tenant: String(tenant), sensor: String(name), ...numbers })
      }
    }
    return coverage
  }

  async *fingerprints(from = BEGINNING_MS): AsyncGenerator<SensorFingerprint> {
    const names = this.#metrics.map(({ name }) => name)
    const sql = `SELECT ts, epoch, seq, source_id, ${names.map(metricColumn).join(', ')} FROM readings WHERE sensor_id = ? AND ts >= ?`
    const labels = new Map<unknown, number>()
    const breather = new Breather()
    for await (const { id, tenant, name } of this.#eachSensor()) {
      const fingerprint = new Fingerprint()
      for (const row of this.#statement(sql).iterate(id, from)) {
        if (!labels.has(row.source_id)) this.#addLabels(labels, Number(row.source_id))
        fingerprint.add(row as unknown as RowIdentity, labels.get(row.source_id)!, row, names)
        if (fingerprint.rows % ROWS_PER_PAGE === 0) await breather.pause()
      }
      yield { tenant: String(tenant), sensor: String(name), fingerprint }
    }
  }

  async *rows({ tenant, sensor }: SensorRef, from = BEGINNING_MS): AsyncGenerator<StoredReading[]> {
    const [found] = this.#all('SELECT id FROM sensors WHERE tenant = ? AND name = ?', tenant, sensor)
    if (found === undefined) return
    for (let next = from; ;) {
      const rows = this.#all(
        'SELECT r.*, p.site, p.node, p.tags FROM readings r JOIN sources p ON p.id = r.source_id WHERE sensor_id = ? AND ts >= ? ORDER BY ts LIMIT ?',
        found.id,
        next,
        ROWS_PER_PAGE,
      )
      if (rows.length > 0) yield rows.map((row) => this.#reading({ tenant, sensor }, row))
      if (rows.length < ROWS_PER_PAGE) return
      next = Number(rows.at(-1)!.ts) + 1
    }
  }

  async rowsSince(): Promise<number | null> {
    const { rows } = readHorizons(this.#db)
    return rows === BEGINNING_MS ? null : rows
  }

  #addLabels(labels: Map<unknown, number>, source: number): void {
    if (labels.size >= LABELS_KEPT_MAX) labels.clear()
    const [row] = this.#all('SELECT site, node, tags FROM sources WHERE id = ?', source)
    const tags = JSON.parse(String(row?.tags ?? '{}')) as Record<string, string>
    labels.set(source, labelsOf({ site: String(row?.site), node: String(row?.node), tags }))
  }

  async *#eachSensor(): AsyncGenerator<Row> {
    const breather = new Breather()
    for (const sensor of this.#all('SELECT id, tenant, name, superseded, expired FROM sensors ORDER BY tenant, name')) {
      await breather.pause()
      yield sensor
    }
  }

  /** Statements are few: their texts vary by which filters are given, not by what is asked for. */
  #all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...values) as Row[]
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)))
    return statement
  }
}

/** Joins the conditions whose values are all given. */
function where(conditions: readonly (readonly [string, ...(SQLInputValue | undefined)[]])[]): {
  sql: string
  values: SQLInputValue[]
} {
  const given = conditions.filter(([, ...values]) => values.every((value) => value !== undefined))
  return {
    sql: given.length === 0 ? '' : `WHERE ${given.map(([sql]) => sql).join(' AND ')}`,
    values: given.flatMap(([, ...values]) => values as SQLInputValue[]),
  }
}

function presentMetrics(metrics: readonly Metric[], row: Row): Record<string, number> {
  const present: Record<string, number> = {}
  for (const { name } of metrics) if (row[name] !== null) present[name] = row[name] as number
  return present
}

const orNull = (value: SQLOutputValue): number | null => (value === null ? null : Number(value))
