// The replicas: the same files with the same bytes, and in them every reading of the order under its sequence, once, and
// every late reading (DS-4, DS-5).
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LATE, CLEAN } from '../../schemas/topics.ts'
import { rowFiles } from '../../sinks/replica/folder.ts'
import { latePath, orderPath } from '../../sinks/replica/file-names.ts'
import { timeCell } from '../../sinks/core/replica-csv.ts'
import { readingIn } from '../registry.ts'
import { type Check, type Evidence, readingsOf } from './evidence.ts'
import { orderOf } from './order.ts'

const contentOf = (dir: string): Map<string, string> =>
  new Map(
    rowFiles(dir)
      .sort()
      .map((path) => [path, readFileSync(join(dir, path), 'utf8')]),
  )

export const replicasAreEqual: Check = ({ replicaDirs }) => {
  const [first, ...others] = replicaDirs.map(contentOf)
  return others.flatMap((other, i) => {
    const paths = new Set([...first.keys(), ...other.keys()])
    const differing = [...paths].filter((path) => first.get(path) !== other.get(path))
    return differing.length === 0 ? [] : [`replicas 1 and ${i + 2} differ in ${differing.join(', ')}`]
  })
}

/** The first columns of the rows that a replica must have, by file. */
function expected(evidence: Evidence): Map<string, string[]> {
  const rows = new Map<string, string[]>()
  const add = (path: string, row: string): void => {
    const list = rows.get(path) ?? []
    rows.set(path, list)
    list.push(row)
  }
  const clean = new Map(
    readingsOf(evidence.broker, CLEAN).map((reading) => [`${reading.partition}@${reading.offset}`, reading]),
  )
  for (const { partition, first_offset: first, count, base_sequence: base } of orderOf(evidence.broker)) {
    for (let i = 0; i < count; i += 1) {
      const reading = clean.get(`${partition}@${first + i}`)
      if (reading === undefined) continue // the extents' check names it
      const { tenant_id, sensor_id } = readingIn(reading.value)
      add(orderPath(tenant_id, sensor_id), `${base + i},${timeCell(reading.ts)}`)
    }
  }
  for (const { partition, offset, ts, value } of readingsOf(evidence.broker, LATE)) {
    const { tenant_id, sensor_id } = readingIn(value)
    add(latePath(partition, tenant_id, sensor_id), `${offset},${timeCell(ts)}`)
  }
  return rows
}

export const replicasHoldTheOrder: Check = (evidence) => {
  const wanted = expected(evidence)
  const [dir] = evidence.replicaDirs
  const content = contentOf(dir)
  const paths = new Set([...wanted.keys(), ...content.keys()])
  return [...paths].flatMap((path) => {
    const lines = (content.get(path) ?? 'header\n').split('\n').slice(1, -1)
    const want = wanted.get(path) ?? []
    const at = Array.from({ length: Math.max(lines.length, want.length) }, (_, i) => i).find(
      (i) => lines[i]?.startsWith(`${want[i]},`) !== true,
    )
    return at === undefined ? [] : [`row ${at} of ${path} is ${lines[at] ?? 'missing'}, expected ${want[at] ?? 'none'}`]
  })
}
