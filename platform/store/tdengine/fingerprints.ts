// What sensors' rows amount to (codec/fingerprint.ts), read with few statements and in bounded memory: small sensors share
// a statement, a large one is read in pages.
import { Fingerprint } from '../../codec/fingerprint.ts'
import { labelsOf } from '../../codec/labels.ts'
import type { Metric } from '../../../schemas/metrics.ts'
import type { SensorCount, SensorFingerprint, SensorRef } from '../port.ts'
import { chunksOf, decodeText, subTable, tableIn, TABLES_PER_STATEMENT, timeOf, where } from './sql.ts'
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
  const labels = new LabelCells()
  const select = `SELECT ${['tbname,ts,epoch,seq,site_id,node_id,tags_json', ...names].join(',')} FROM ${database}.readings`
  for (const part of groupsOf(counts, ROWS_PER_PAGE)) {
    const sums = new Map(part.map((sensor) => [tableOf(sensor), new Fingerprint()]))
    for await (const page of part.length === 1 ? pages(run, select, part[0], from) : shared(run, select, part, from))
      for (const [table, ...cells] of page) addTo(sums.get(String(table))!, cells, names, labels)
    for (const { tenant, sensor } of part) yield { tenant, sensor, fingerprint: sums.get(tableOf({ tenant, sensor }))! }
  }
}

/** Labels repeat from row to row: those of the row before are kept. */
class LabelCells {
  #site: Cell = null
  #node: Cell = null
  #tags: Cell = null
  #labels = 0

  read(site: Cell, node: Cell, tags: Cell): number {
    if (site === this.#site && node === this.#node && tags === this.#tags) return this.#labels
    ;[this.#site, this.#node, this.#tags] = [site, node, tags]
    const parsed = JSON.parse(textOf(tags)) as Record<string, string>
    this.#labels = labelsOf({ site: textOf(site), node: textOf(node), tags: parsed })
    return this.#labels
  }
}

function addTo(
  sum: Fingerprint,
  [ts, epoch, seq, site, node, tags, ...values]: readonly Cell[],
  names: readonly string[],
  labels: LabelCells,
): void {
  const cells: Record<string, number> = {}
  names.forEach((name, i) => {
    if (values[i] !== null) cells[name] = Number(values[i])
  })
  const identity = { ts: timeOf(ts), epoch: Number(epoch), seq: Number(seq) }
  sum.add(identity, labels.read(site, node, tags), cells, names)
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

const textOf = (cell: Cell): string => decodeText(String(cell))
const tableOf = ({ tenant, sensor }: SensorRef): string => subTable('r', tenant, sensor)
