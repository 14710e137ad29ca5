// Takes over what an earlier layout had in the database of the readings: places, joined numbers and progress, which are now
// in a database of their own (schema.ts). Progress comes last, as in every write, and all of it may be repeated: a store that was
// left in the middle begins again.
import { StoreError } from '../../errors.ts'
import type { Progress } from '../port.ts'
import { joinedTable, placeTable, progressTable } from './rows.ts'
import { STATE_TS } from './layout.ts'
import { decodeText, insertStatements, type TableRows, timeOf } from './sql.ts'
import type { Cell, Rows, SqlTransport } from './transport.ts'

const textOf = (cell: Cell): string => decodeText(String(cell))
const orNull = (cell: Cell): number | null => (cell === null ? null : Number(cell))

/** Whether there is a store of the earlier layout. */
export async function hasFormerState(transport: SqlTransport, database: string): Promise<boolean> {
  return (await rowsOf(transport, `SELECT migration_number,migration_name FROM ${database}.migrations`)).length > 0
}

export async function adoptFormerState(transport: SqlTransport, database: string): Promise<void> {
  const places = await rowsOf(transport, `SELECT sensor_id,tenant_id,site_id FROM ${database}.places`)
  await insert(
    transport,
    places.map(([sensor, tenant, site]) => placeTable(database, textOf(tenant), textOf(sensor), textOf(site))),
  )
  const joined = await rowsOf(transport, `SELECT sensor_id,tenant_id,epoch,ts FROM ${database}.joined`)
  await insert(
    transport,
    joined.flatMap(([sensor, tenant, epoch, ts]) => {
      const mark = { epoch: Number(epoch), seq: timeOf(ts) - STATE_TS }
      return joinedTable(database, textOf(tenant), textOf(sensor), mark) ?? []
    }),
  )
  const progress = await rowsOf(
    transport,
    `SELECT topic_name,part_no,next_offset,through_ms,event_ms FROM ${database}.progress`,
  )
  await insert(
    transport,
    progress.map((row) => progressTable(database, progressOf(row))),
  )
}

const progressOf = ([topic, partition, offset, throughMs, eventMs]: readonly Cell[]): Progress => ({
  topic: textOf(topic),
  partition: Number(partition),
  offset: Number(offset),
  throughMs: orNull(throughMs),
  eventMs: orNull(eventMs),
})

/** Empty where there is no such table. */
async function rowsOf(transport: SqlTransport, sql: string): Promise<Rows> {
  try {
    return await transport.query(sql)
  } catch (error) {
    if (error instanceof StoreError && error.code === 'STORE_NOT_READY') return []
    throw error
  }
}

async function insert(transport: SqlTransport, tables: readonly TableRows[]): Promise<void> {
  for (const statement of insertStatements(tables)) await transport.query(statement)
}
