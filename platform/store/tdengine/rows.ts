// The rows that the TDengine store writes, as text: one function per super table, in the order of its columns.
import type { Reading } from '../../codec/reading.ts'
import { historyOf, type Mark } from '../merge.ts'
import type { Anomaly, Progress, ReadingRows } from '../port.ts'
import type { FoldedRow } from './fold.ts'
import { HISTORY_CHARS, ID_CHARS, ROW_COLUMNS, STATE_TS, stateOf, TAGS_JSON_CHARS } from './layout.ts'
import { integerLiteral, numberLiteral, subTable, type TableRows, textLiteral } from './sql.ts'

interface Names {
  readonly database: string
  readonly table: string
  readonly tenant: string
  readonly sensor: string
}

export const readingTable = (
  { database, table, tenant, sensor }: Names,
  metrics: readonly string[],
  rows: readonly string[],
): TableRows => ({
  superTable: `${database}.readings`,
  table,
  tags: [idLiteral(sensor, 'sensor_id'), idLiteral(tenant, 'tenant_id')],
  columns: [...ROW_COLUMNS, ...metrics],
  rows,
})

/** The row of one reading. Every column is named, NULL where there is no value: so it replaces another row whole. */
export function readingRow(
  { readings, versions, arrivals }: ReadingRows,
  index: number,
  metrics: readonly string[],
): string {
  const { ts, epoch, seq, site_id, node_id, tags, ...values } = readings[index] as Reading
  let row = `(${integerLiteral(ts, 'ts')},${integerLiteral(epoch, 'epoch')},${integerLiteral(seq, 'seq')},${versions[index]},${integerLiteral(arrivals[index], 'arrival')},0,${idLiteral(site_id, 'site_id')},${idLiteral(node_id, 'node_id')},${tagsLiteral(JSON.stringify(tags))},NULL`
  for (const name of metrics) row += `,${numberLiteral((values[name] ?? null) as number | null, name)}`
  return `${row})`
}

/** The row of several readings, or of one that erased something. */
export function foldedRow(
  ts: number,
  { row, superseded, arrival, site, node, tagsJson }: FoldedRow,
  metrics: readonly string[],
): string {
  const { epoch, seq } = row.first
  const history = historyOf(row, metrics)
  const cells = [
    integerLiteral(ts, 'ts'),
    integerLiteral(epoch, 'epoch'),
    integerLiteral(seq, 'seq'),
    String(row.version),
    integerLiteral(arrival, 'arrival'),
    String(superseded),
    idLiteral(site, 'site_id'),
    idLiteral(node, 'node_id'),
    tagsLiteral(tagsJson),
    history === null ? 'NULL' : textLiteral(history, 'the history of the row', HISTORY_CHARS),
    ...metrics.map((name, i) => numberLiteral(row.values[i], name)),
  ]
  return `(${cells.join(',')})`
}

/**
 * Numbers of readings that joined another: seq is the row's time, counted from STATE_TS. Null beyond what a time can
 * be: such a number is then not known to have come, which costs nothing but completeness.
 */
export function joinedTable(
  database: string,
  tenant: string,
  sensor: string,
  { epoch, seq }: Pick<Mark, 'epoch' | 'seq'>,
): TableRows | null {
  if (epoch === 0 || seq > JOINED_SEQ_MAX) return null
  return {
    superTable: `${stateOf(database)}.joined`,
    table: joinedName(tenant, sensor, epoch),
    tags: [idLiteral(sensor, 'sensor_id'), idLiteral(tenant, 'tenant_id'), String(epoch)],
    columns: ['ts', 'present'],
    rows: [`(${STATE_TS + seq},1)`],
  }
}

/** 300 years of milliseconds. */
const JOINED_SEQ_MAX = 1e13

export const joinedName = (tenant: string, sensor: string, epoch: number): string =>
  subTable('j', tenant, sensor, String(epoch))

const idLiteral = (text: string, name: string): string => textLiteral(text, name, ID_CHARS)
const tagsLiteral = (json: string): string => textLiteral(json, 'the labels of the reading', TAGS_JSON_CHARS)

export const placeTable = (database: string, tenant: string, sensor: string, site: string): TableRows => ({
  superTable: `${stateOf(database)}.places`,
  table: subTable('p', tenant, sensor, site),
  tags: [idLiteral(sensor, 'sensor_id'), idLiteral(tenant, 'tenant_id'), idLiteral(site, 'site_id')],
  columns: ['ts', 'present'],
  rows: [`(${STATE_TS},1)`],
})

export const progressTable = (
  database: string,
  { topic, partition, offset, throughMs, eventMs }: Progress,
): TableRows => ({
  superTable: `${stateOf(database)}.progress`,
  table: subTable('o', topic, String(partition)),
  tags: [idLiteral(topic, 'topic'), String(partition)],
  columns: ['ts', 'next_offset', 'through_ms', 'event_ms'],
  rows: [
    `(${STATE_TS},${integerLiteral(offset, 'offset')},${numberLiteral(throughMs, 'throughMs')},${numberLiteral(eventMs, 'eventMs')})`,
  ],
})

/** One sub-table per (sensor, metric, detector): then the event time alone identifies the row. */
export function anomalyTable(database: string, anomaly: Anomaly): TableRows {
  const { tenant_id, sensor_id, site_id, node_id, metric, detector } = anomaly
  const integers = [anomaly.epoch, anomaly.seq].map((value) => integerLiteral(value, 'epoch or seq'))
  const numbers = (['value', 'score', 'threshold', 'mean', 'stddev', 'window_count'] as const).map((name) =>
    numberLiteral(anomaly[name], name),
  )
  const places = [idLiteral(site_id, 'site_id'), idLiteral(node_id, 'node_id')]
  const cells = [integerLiteral(anomaly.ts, 'ts'), ...places, ...integers, ...numbers]
  return {
    superTable: `${database}.anomalies`,
    table: subTable('a', tenant_id, sensor_id, metric, detector),
    tags: Object.entries({ sensor_id, tenant_id, metric, detector }).map(([name, text]) => idLiteral(text, name)),
    columns: ANOMALY_COLUMNS,
    rows: [`(${cells.join(',')})`],
  }
}

export const ANOMALY_COLUMNS = [
  'ts',
  'site_id',
  'node_id',
  'epoch',
  'seq',
  'metric_value',
  'score',
  'threshold',
  'mean_value',
  'stddev_value',
  'window_count',
] as const
