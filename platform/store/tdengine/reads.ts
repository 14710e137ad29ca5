// Reads of the TDengine store. TDengine has no snapshots: a view sees each statement's own instant, so anyone who needs
// to know up to when its rows are complete reads progress first (rows are written before it). Cells are read by their
// place in the select list, and texts come out of their encoding here.
import type { Metric } from '../../../schemas/metrics.ts'
import { isCorrected } from '../merge.ts'
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
import { aggregateTdengine } from './aggregate.ts'
import { ANOMALY_COLUMNS } from './rows.ts'
import { fingerprintSensors, ROWS_PER_PAGE } from './fingerprints.ts'
import { ROW_COLUMNS, stateOf } from './layout.ts'
import { countLanes, countSensors, lanesOf } from './seqs.ts'
import {
  chunksOf,
  decodeText,
  historyCell,
  subTable,
  tableIn,
  TABLES_PER_STATEMENT,
  textLiteral,
  timeOf,
  where,
} from './sql.ts'
import type { Cell, Rows, SqlTransport } from './transport.ts'

const DAY_MS = 86_400_000
/** Longest wait for one statement, ms: who asks by HTTP has gone by then. */
const READ_MS = 30_000

/** In order of (topic, partition). */
export async function readProgress(
  transport: SqlTransport,
  database: string,
  signal: AbortSignal,
): Promise<Progress[]> {
  const rows = await transport.query(
    `SELECT topic_name,part_no,next_offset,through_ms,event_ms FROM ${stateOf(database)}.progress`,
    signal,
  )
  const progress = rows.map(([topic, partition, offset, throughMs, eventMs]) => ({
    topic: textOf(topic),
    partition: Number(partition),
    offset: Number(offset),
    throughMs: orNull(throughMs),
    eventMs: orNull(eventMs),
  }))
  return progress.sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
}

export interface ViewOptions {
  /** Called when progress is read: it was not known, or not trusted. */
  readonly onProgress?: () => void
  /** Days that the database keeps readings; absent: not known. */
  readonly keepDays?: number
}

export class TdengineView implements StoreView {
  readonly #transport: SqlTransport
  readonly #database: string
  readonly #metrics: readonly Metric[]
  readonly #options: ViewOptions

  constructor(transport: SqlTransport, database: string, metrics: readonly Metric[], options: ViewOptions = {}) {
    this.#transport = transport
    this.#database = database
    this.#metrics = metrics
    this.#options = options
  }

  progress(): Promise<Progress[]> {
    this.#options.onProgress?.()
    return readProgress(this.#transport, this.#database, AbortSignal.timeout(READ_MS))
  }

  async tenantsOf(sensor: string, limit: number): Promise<string[]> {
    const rows = await this.#all(
      `SELECT tenant_id,count(*) FROM ${stateOf(this.#database)}.places${where(equals('sensor_id', sensor))} GROUP BY tenant_id ORDER BY tenant_id LIMIT ${limit}`,
    )
    return rows.map(([tenant]) => textOf(tenant))
  }

  async tenantsAt(site: string, limit: number): Promise<string[]> {
    const rows = await this.#all(
      `SELECT tenant_id,count(*) FROM ${stateOf(this.#database)}.places${where(equals('site_id', site))} GROUP BY tenant_id ORDER BY tenant_id LIMIT ${limit}`,
    )
    return rows.map(([tenant]) => textOf(tenant))
  }

  async sensors({ sensor, site, tenant, after, limit }: SensorQuery): Promise<SensorSummary[]> {
    const conditions = where(
      equals('sensor_id', sensor),
      equals('site_id', site),
      equals('tenant_id', tenant),
      after && isBehind(after),
    )
    const page = await this.#all(
      `SELECT tenant_id,sensor_id,count(*) FROM ${stateOf(this.#database)}.places${conditions} GROUP BY tenant_id,sensor_id ORDER BY tenant_id,sensor_id LIMIT ${limit}`,
    )
    const refs = page.map(([tenantId, sensorId]) => ({ tenant: textOf(tenantId), sensor: textOf(sensorId) }))
    const summaries = new Map<string, SensorSummary>()
    for (const part of chunksOf(refs, TABLES_PER_STATEMENT)) {
      const tables = tableIn(part.map(tableOf))
      const rows = await this.#all(
        `SELECT tbname,count(*),last(ts),last(site_id),last(node_id) FROM ${this.#database}.readings WHERE ${tables} PARTITION BY tbname`,
      )
      const found = new Map(rows.map((row) => [row[0], row]))
      for (const ref of part) {
        const row = found.get(tableOf(ref))
        // A place without rows: its sink was stopped between the two, and will bring the rows.
        if (row === undefined) continue
        const [table, count, lastTs, at, node] = row
        const place = { site: textOf(at), node: textOf(node) }
        summaries.set(String(table), { ...ref, ...place, count: Number(count), lastTs: timeOf(lastTs) })
      }
    }
    return [...summaries.values()]
  }

  async seqCount(sensors: readonly SensorRef[]): Promise<SeqCount> {
    return countSensors((sql) => this.#all(sql), this.#database, sensors)
  }

  async seqCountWithin(sensor: SensorRef, from: number, to: number): Promise<SeqCount> {
    const conditions = where(tableIn([tableOf(sensor)]), `ts >= ${from}`, `ts < ${to}`, 'epoch <> 0')
    const rows = await this.#all(
      `SELECT tbname,epoch,count(*),min(seq),max(seq) FROM ${this.#database}.readings${conditions} GROUP BY tbname,epoch`,
    )
    return countLanes((sql) => this.#all(sql), this.#database, lanesOf(rows))
  }

  async recent({ tenant, sensor }: SensorRef, limit: number): Promise<StoredReading[] | null> {
    const conditions = where(equals('sensor_id', sensor), equals('tenant_id', tenant))
    const rows = await this.#all(
      `SELECT ${this.#columns} FROM ${this.#database}.readings${conditions} ORDER BY ts DESC LIMIT ${limit}`,
    )
    if (rows.length === 0) return null
    return rows.map((row) => this.#reading({ tenant, sensor }, row))
  }

  get #columns(): string {
    return [...ROW_COLUMNS, ...this.#metrics.map(({ name }) => name)].join(',')
  }

  #reading(
    at: SensorRef,
    [ts, epoch, seq, version, arrival, , site, node, tags, history, ...values]: readonly Cell[],
  ): StoredReading {
    const metrics: Record<string, number> = {}
    this.#metrics.forEach(({ name }, i) => {
      if (values[i] !== null) metrics[name] = Number(values[i])
    })
    return {
      ...at,
      site: textOf(site),
      node: textOf(node),
      ts: timeOf(ts),
      epoch: Number(epoch),
      seq: Number(seq),
      version: Number(version),
      arrivalMs: Number(arrival),
      tags: JSON.parse(textOf(tags)) as Record<string, string>,
      metrics,
      corrected: isCorrected(historyCell(history)),
    }
  }

  aggregate(query: AggregateQuery): Promise<Aggregate> {
    return aggregateTdengine((sql) => this.#all(sql), this.#database, this.#metrics, query)
  }

  async anomalies({ tenant, sensor, site, from, to }: AnomalyFilter, limit: number): Promise<Anomaly[]> {
    const conditions = where(
      equals('tenant_id', tenant),
      equals('sensor_id', sensor),
      equals('site_id', site),
      from === undefined ? undefined : `ts >= ${from}`,
      to === undefined ? undefined : `ts < ${to}`,
    )
    const rows = await this.#all(
      `SELECT tenant_id,sensor_id,metric,detector,${ANOMALY_COLUMNS.join(',')} FROM ${this.#database}.anomalies${conditions} ORDER BY ts DESC LIMIT ${limit}`,
    )
    return rows.map(anomalyOf)
  }

  async totals(): Promise<{ sensors: number; readings: number; superseded: number; anomalies: number }> {
    const [sensors] = await this.#all(
      `SELECT count(*) FROM information_schema.ins_tables WHERE db_name='${this.#database}' AND stable_name='readings'`,
    )
    const [rows] = await this.#all(`SELECT count(*),sum(superseded) FROM ${this.#database}.readings`)
    const [anomalies] = await this.#all(`SELECT count(*) FROM ${this.#database}.anomalies`)
    return {
      sensors: Number(sensors?.[0] ?? 0),
      readings: Number(rows?.[0] ?? 0),
      superseded: Number(rows?.[1] ?? 0),
      anomalies: Number(anomalies?.[0] ?? 0),
    }
  }

  async countsPerSensor(range?: { epoch: number; fromSeq: number; toSeq: number }): Promise<SensorCount[]> {
    const all = await this.#counts('')
    if (range === undefined) return all
    const { epoch, fromSeq, toSeq } = range
    const within = await this.#counts(` WHERE epoch = ${epoch} AND seq >= ${fromSeq} AND seq <= ${toSeq}`)
    const counts = new Map(within.map((sensor) => [tableOf(sensor), sensor.count]))
    return all.map((sensor) => ({ ...sensor, count: counts.get(tableOf(sensor)) ?? 0 }))
  }

  async #counts(conditions: string): Promise<SensorCount[]> {
    const rows = await this.#all(
      `SELECT tenant_id,sensor_id,count(*),sum(superseded) FROM ${this.#database}.readings${conditions} GROUP BY tenant_id,sensor_id ORDER BY tenant_id,sensor_id`,
    )
    return rows.map(([tenant, sensor, count, superseded]) => ({
      tenant: textOf(tenant),
      sensor: textOf(sensor),
      count: Number(count),
      superseded: Number(superseded),
    }))
  }

  async coverage(): Promise<Coverage[]> {
    const rows = await this.#all(
      `SELECT tenant_id,sensor_id,epoch,count(*),min(seq),max(seq) FROM ${this.#database}.readings GROUP BY tenant_id,sensor_id,epoch ORDER BY tenant_id,sensor_id,epoch`,
    )
    return rows.map(([tenant, sensor, epoch, count, low, high]) => ({
      tenant: textOf(tenant),
      sensor: textOf(sensor),
      epoch: Number(epoch),
      count: Number(count),
      minSeq: Number(low),
      maxSeq: Number(high),
    }))
  }

  async *fingerprints(from?: number): AsyncGenerator<SensorFingerprint> {
    const counts = await this.#counts(from === undefined ? '' : ` WHERE ts >= ${from}`)
    yield* fingerprintSensors((sql) => this.#all(sql), this.#database, this.#metrics, counts, from)
  }

  async *rows(at: SensorRef, from?: number): AsyncGenerator<StoredReading[]> {
    const { tenant, sensor } = at
    for (let next = from; ;) {
      const conditions = where(
        equals('sensor_id', sensor),
        equals('tenant_id', tenant),
        next === undefined ? undefined : `ts >= ${next}`,
      )
      const rows = await this.#all(
        `SELECT ${this.#columns} FROM ${this.#database}.readings${conditions} ORDER BY ts LIMIT ${ROWS_PER_PAGE}`,
      )
      if (rows.length > 0) yield rows.map((row) => this.#reading({ tenant, sensor }, row))
      if (rows.length < ROWS_PER_PAGE) return
      next = timeOf(rows[rows.length - 1][0]) + 1
    }
  }

  /** By the setting, where there is one; what a KEEP of somebody else's has removed, TDengine does not say. */
  async rowsSince(): Promise<number | null> {
    const { keepDays } = this.#options
    return keepDays === undefined ? null : Date.now() - keepDays * DAY_MS
  }

  #all(sql: string): Promise<Rows> {
    return this.#transport.query(sql, AbortSignal.timeout(READ_MS))
  }
}

function anomalyOf([tenant, sensor, metric, detector, ts, site, node, ...numbers]: readonly Cell[]): Anomaly {
  const [epoch, seq, value, score, threshold, mean, stddev, windowCount] = numbers.map(Number)
  return {
    tenant_id: textOf(tenant),
    site_id: textOf(site),
    node_id: textOf(node),
    sensor_id: textOf(sensor),
    epoch,
    seq,
    ts: timeOf(ts),
    metric: textOf(metric),
    value,
    detector: textOf(detector),
    score,
    threshold,
    mean,
    stddev,
    window_count: windowCount,
  }
}

const equals = (column: string, value: string | undefined): string | undefined =>
  value === undefined ? undefined : `${column} = ${textLiteral(value)}`

/** In the server's order of texts, whatever it is. */
function isBehind({ tenant, sensor }: SensorRef): string {
  const [at, name] = [textLiteral(tenant), textLiteral(sensor)]
  return `(tenant_id > ${at} OR (tenant_id = ${at} AND sensor_id > ${name}))`
}

const tableOf = ({ tenant, sensor }: SensorRef): string => subTable('r', tenant, sensor)
const textOf = (cell: Cell): string => decodeText(String(cell))
const orNull = (cell: Cell): number | null => (cell === null ? null : Number(cell))
