// Numbering of sensors, by the rule of SeqCount in port.ts: rows count by the numbers of their first readings, and
// readings that joined the row of another are found in `joined`, where a seq is a time counted from STATE_TS.
import type { SensorRef, SeqCount } from '../port.ts'
import { joinedName } from './rows.ts'
import { STATE_TS, stateOf } from './layout.ts'
import { chunksOf, decodeText, subTable, tableIn, TABLES_PER_STATEMENT, timeOf, where } from './sql.ts'
import type { Cell, Rows } from './transport.ts'

type Run = (sql: string) => Promise<Rows>

/** Numbers of one (sensor, epoch). */
interface Lane {
  readonly table: string
  readonly epoch: number
  readonly count: number
  readonly low: number
  readonly high: number
}

const keyOf = ({ table, epoch }: Pick<Lane, 'table' | 'epoch'>): string => `${table} ${epoch}`

/** Rows of a `SELECT tbname,epoch,count(*),min(seq),max(seq)`. */
export const lanesOf = (rows: Rows): Lane[] =>
  rows.map(([table, epoch, count, low, high]) => ({
    table: String(table),
    epoch: Number(epoch),
    count: Number(count),
    low: Number(low),
    high: Number(high),
  }))

/** What has joined, by keyOf; its `table` is its own sub-table. Corrections are few, and mostly there are none. */
async function joinedLanes(run: Run, database: string): Promise<Map<string, Lane>> {
  const rows = await run(
    `SELECT sensor_id,tenant_id,epoch,count(*),first(ts),last(ts) FROM ${stateOf(database)}.joined GROUP BY sensor_id,tenant_id,epoch`,
  )
  const seqOf = (cell: Cell): number => timeOf(cell) - STATE_TS
  return new Map(
    rows.map(([sensor, tenant, epochOf, count, first, last]) => {
      const names = [decodeText(String(tenant)), decodeText(String(sensor))] as const
      const epoch = Number(epochOf)
      const lane = {
        table: joinedName(...names, epoch),
        epoch,
        count: Number(count),
        low: seqOf(first),
        high: seqOf(last),
      }
      return [keyOf({ table: subTable('r', ...names), epoch }), lane]
    }),
  )
}

/** Numbering of the lanes that a range of time has. */
export async function countLanes(run: Run, database: string, lanes: readonly Lane[]): Promise<SeqCount> {
  const joined = lanes.length === 0 ? new Map<string, Lane>() : await joinedLanes(run, database)
  let present = 0
  let expected = 0
  for (const lane of lanes) {
    present += lane.count + (await joinedWithin(run, database, joined.get(keyOf(lane)), lane))
    expected += lane.high - lane.low + 1
  }
  return { present, expected }
}

async function joinedWithin(
  run: Run,
  database: string,
  joined: Lane | undefined,
  { low, high }: Lane,
): Promise<number> {
  if (joined === undefined || joined.high < low || joined.low > high) return 0
  if (joined.low >= low && joined.high <= high) return joined.count
  const range = [`ts >= ${STATE_TS + low}`, `ts <= ${STATE_TS + high}`]
  const [row] = await run(`SELECT count(*) FROM ${stateOf(database)}.joined${where(tableIn([joined.table]), ...range)}`)
  return Number(row?.[0] ?? 0)
}

/** Numbering of sensors over all that is stored. */
export async function countSensors(run: Run, database: string, sensors: readonly SensorRef[]): Promise<SeqCount> {
  if (sensors.length === 0) return { present: 0, expected: 0 }
  const joined = await joinedLanes(run, database)
  const asked = new Set<string>()
  let present = 0
  let expected = 0
  const add = (lane: Lane | undefined, other: Lane | undefined): void => {
    present += (lane?.count ?? 0) + (other?.count ?? 0)
    const ends = [lane, other].filter((one) => one !== undefined)
    expected += Math.max(...ends.map(({ high }) => high)) - Math.min(...ends.map(({ low }) => low)) + 1
  }
  for (const part of chunksOf(sensors, TABLES_PER_STATEMENT)) {
    const tables = part.map(({ tenant, sensor }) => subTable('r', tenant, sensor))
    for (const table of tables) asked.add(table)
    const rows = await run(
      `SELECT tbname,epoch,count(*),min(seq),max(seq) FROM ${database}.readings WHERE ${tableIn(tables)} AND epoch <> 0 GROUP BY tbname,epoch`,
    )
    for (const lane of lanesOf(rows)) {
      add(lane, joined.get(keyOf(lane)))
      joined.delete(keyOf(lane))
    }
  }
  // Epochs whose every reading has joined the row of another.
  for (const [key, lane] of joined) if (asked.has(key.slice(0, key.indexOf(' ')))) add(undefined, lane)
  return { present, expected }
}
