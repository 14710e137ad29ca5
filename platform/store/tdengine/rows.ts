// The rows that the TDengine store writes, as text: one function per super table, in the order of its columns.
import type { Reading } from '../../codec/reading.ts'
import type { Anomaly, Progress, ReadingRows } from '../port.ts'
import { ROW_COLUMNS, STATE_TS } from './schema.ts'
import { integerLiteral, numberLiteral, subTable, type TableRows, textLiteral } from './sql.ts'

interface Names {
  readonly database: string
  readonly table: string
  readonly tenant: string
  readonly sensor: string
}

/** @param metrics null: rows of supersededRow */
export function readingTable(
  { database, table, tenant, sensor }: Names,
  metrics: readonly string[] | null,
  rows: readonly string[],
): TableRows {
  const columns = metrics === null ? ['ts', 'superseded'] : [...ROW_COLUMNS, ...metrics]
  const tags = [textLiteral(sensor), textLiteral(tenant)]
  return { superTable: `${database}.readings`, table, tags, columns, rows }
}

/** Every column is named, NULL where there is no value: so the row replaces another one whole. */
export function readingRow(
  { readings, versions, arrivals }: ReadingRows,
  index: number,
  superseded: number,
  metrics: readonly string[],
): string {
  const { ts, epoch, seq, site_id, node_id, tags, ...values } = readings[index] as Reading
  let row = `(${integerLiteral(ts, 'ts')},${integerLiteral(epoch, 'epoch')},${integerLiteral(seq, 'seq')},${versions[index]},${integerLiteral(arrivals[index], 'arrival')},${superseded},${textLiteral(site_id)},${textLiteral(node_id)},${textLiteral(JSON.stringify(tags))}`
  for (const name of metrics) row += `,${numberLiteral((values[name] ?? null) as number | null, name)}`
  return `${row})`
}

/** Columns that are not named keep what they hold. */
export const supersededRow = (ts: number, superseded: number): string => `(${ts},${superseded})`

export const placeTable = (database: string, tenant: string, sensor: string, site: string): TableRows => ({
  superTable: `${database}.places`,
  table: subTable('p', tenant, sensor, site),
  tags: [sensor, tenant, site].map(textLiteral),
  columns: ['ts', 'present'],
  rows: [`(${STATE_TS},1)`],
})

export const progressTable = (
  database: string,
  { topic, partition, offset, throughMs, eventMs }: Progress,
): TableRows => ({
  superTable: `${database}.progress`,
  table: subTable('o', topic, String(partition)),
  tags: [textLiteral(topic), String(partition)],
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
  const cells = [integerLiteral(anomaly.ts, 'ts'), textLiteral(site_id), textLiteral(node_id), ...integers, ...numbers]
  return {
    superTable: `${database}.anomalies`,
    table: subTable('a', tenant_id, sensor_id, metric, detector),
    tags: [sensor_id, tenant_id, metric, detector].map(textLiteral),
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
