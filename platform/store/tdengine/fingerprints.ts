// What sensors' rows amount to (codec/fingerprint.ts), read with few statements and in bounded memory: small sensors share
// a statement, a large one is read in pages.
import { Fingerprint } from '../../codec/fingerprint.ts'
import type { Metric } from '../../../schemas/metrics.ts'
import type { SensorCount, SensorFingerprint, SensorRef } from '../port.ts'
import { chunksOf, subTable, tableIn, TABLES_PER_STATEMENT, timeOf, where } from './sql.ts'
import type { Cell, Rows } from './transport.ts'

/** Rows in one answer where all rows are read: some megabytes. */
export const ROWS_PER_PAGE = 10_000

type Run = (sql: string) => Promise<Rows>

/** @param counts rows per sensor with an event time of `from` or later, in the order in which sums are given */
export async function* fingerprintSensors(
  run: Run,
  database: string,
  metrics: readonly Metric[],
  counts: readonly SensorCount[],
  from: number | undefined,
): AsyncGenerator<SensorFingerprint> {
  const names = metrics.map(({ name }) => name)
  const select = `SELECT ${['tbname,ts,epoch,seq', ...names].join(',')} FROM ${database}.readings`
  for (const part of groupsOf(counts, ROWS_PER_PAGE)) {
    const sums = new Map(part.map((sensor) => [tableOf(sensor), new Fingerprint()]))
    for await (const page of part.length === 1 ? pages(run, select, part[0], from) : shared(run, select, part, from))
      for (const [table, ...cells] of page) addTo(sums.get(String(table))!, cells, names)
    for (const { tenant, sensor } of part) yield { tenant, sensor, fingerprint: sums.get(tableOf({ tenant, sensor }))! }
  }
}

function addTo(sum: Fingerprint, [ts, epoch, seq, ...values]: readonly Cell[], names: readonly string[]): void {
  const cells: Record<string, number> = {}
  names.forEach((name, i) => {
    if (values[i] !== null) cells[name] = Number(values[i])
  })
  sum.add({ ts: timeOf(ts), epoch: Number(epoch), seq: Number(seq) }, cells, names)
}

async function* shared(
  run: Run,
  select: string,
  sensors: readonly SensorRef[],
  from: number | undefined,
): AsyncGenerator<Rows> {
  const since = from === undefined ? undefined : `ts >= ${from}`
  for (const part of chunksOf(sensors, TABLES_PER_STATEMENT))
    yield await run(`${select}${where(tableIn(part.map(tableOf)), since)}`)
}

async function* pages(run: Run, select: string, sensor: SensorRef, from: number | undefined): AsyncGenerator<Rows> {
  for (let next = from; ;) {
    const conditions = where(tableIn([tableOf(sensor)]), next === undefined ? undefined : `ts >= ${next}`)
    const page = await run(`${select}${conditions} ORDER BY ts LIMIT ${ROWS_PER_PAGE}`)
    yield page
    if (page.length < ROWS_PER_PAGE) return
    next = timeOf(page[page.length - 1][1]) + 1
  }
}

/** Sensors in order, as many together as have `rows` rows or less; one that has more is alone. */
function* groupsOf(sensors: readonly SensorCount[], rows: number): Generator<SensorCount[]> {
  let group: SensorCount[] = []
  let total = 0
  for (const sensor of sensors) {
    if (group.length > 0 && total + sensor.count > rows) {
      yield group
      group = []
      total = 0
    }
    group.push(sensor)
    total += sensor.count
  }
  if (group.length > 0) yield group
}

const tableOf = ({ tenant, sensor }: SensorRef): string => subTable('r', tenant, sensor)
