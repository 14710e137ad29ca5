// Compares what replicas have written, row by row and byte by byte, over what all of them have: from the greatest
// sequence that one begins with to the least that one has on disk, and the same for the late readings of each partition.
// Rows after a checkpoint do not count yet. One line of each replica is in memory at a time.
import { join } from 'node:path'
import { placeOf } from '../../sinks/core/replica-cut.ts'
import { partitionOfPath } from '../../sinks/replica/file-names.ts'
import { rowFiles } from '../../sinks/replica/folder.ts'
import { readState, type ReplicaState } from '../../sinks/replica/state.ts'
import { count } from '../../deploy/stack/core/panel.ts'
import { type Line, linesOf } from './lines.ts'
import { CommandError } from '../core/errors.ts'

export interface Comparison {
  /** What was compared, for people. */
  readonly lines: readonly string[]
  /** The first difference; null: they are the same. */
  readonly difference: string | null
}

interface Span {
  readonly from: number
  readonly to: number
}

interface Side {
  readonly id: string
  readonly dir: string
  readonly state: ReplicaState
  readonly files: ReadonlySet<string>
}

/** @param ids folders below `root`, at least two */
export function compareReplicas(root: string, ids: readonly string[]): Comparison {
  const sides = ids.map((id) => sideOf(root, id))
  const order = common(sides.map(({ state }) => ({ from: state.first_sequence ?? 0, to: state.next_sequence ?? 0 })))
  const partitions = Math.max(...sides.map(({ state }) => state.late_next.length))
  const late = Array.from({ length: partitions }, (_, p) =>
    common(sides.map(({ state }) => ({ from: state.late_first[p] ?? 0, to: state.late_next[p] ?? 0 }))),
  )
  const paths = [...new Set(sides.flatMap(({ files }) => [...files]))].sort()
  const rows = { order: 0, late: 0 }
  for (const path of paths) {
    const partition = partitionOfPath(path)
    const span = partition === null ? order : (late[partition] ?? { from: 0, to: 0 })
    const same = compareFile(sides, path, span)
    if (typeof same === 'string') return { lines: progress(sides, order), difference: same }
    rows[partition === null ? 'order' : 'late'] += same
  }
  const found = `${count(rows.order)} rows of the order and ${count(rows.late)} late ones in ${count(paths.length)} files`
  return { lines: [...progress(sides, order), `same: ${found}`], difference: null }
}

function sideOf(root: string, id: string): Side {
  const dir = join(root, id)
  const state = readState(dir)
  if (state === null)
    throw new CommandError('NO_REPLICA', `${dir} is no replica: start one by "plumbline replica --id ${id}"`)
  return { id, dir, state, files: new Set(rowFiles(dir)) }
}

const common = (spans: readonly Span[]): Span => ({
  from: Math.max(...spans.map(({ from }) => from)),
  to: Math.min(...spans.map(({ to }) => to)),
})

/** How far each has come, if they differ, and what is compared then. */
function progress(sides: readonly Side[], { from, to }: Span): string[] {
  if (to <= from) return ['the replicas have no sequence in common yet']
  const isLevel = sides.every(({ state }) => state.first_sequence === from && state.next_sequence === to)
  const compared = `compared: sequences ${from} to ${to - 1}`
  if (isLevel) return [compared]
  const places = sides.map(
    ({ id, state }) => `${id} has ${state.first_sequence ?? 0} to ${(state.next_sequence ?? 0) - 1}`,
  )
  return [`${places.join(', ')}; ${compared}, which all of them have on disk`]
}

/** How many rows of the span the file has, the same everywhere, or the first difference. */
function compareFile(sides: readonly Side[], path: string, span: Span): number | string {
  const readers = sides.map(({ dir, files }) => (files.has(path) ? rowsOf(join(dir, path), span) : nothing()))
  try {
    for (let rows = 0; ; rows += 1) {
      const lines = readers.map((reader) => reader.next().value ?? null)
      const [first] = lines
      const other = lines.findIndex((line) => line?.text !== first?.text)
      if (other > 0) return `${path}: ${shown(sides[0].id, first)}; ${shown(sides[other].id, lines[other])}`
      if (first === null) return rows
    }
  } finally {
    for (const reader of readers) reader.return(undefined)
  }
}

const shown = (id: string, line: Line | null): string =>
  line === null ? `${id} has no such row` : `${id} has in line ${line.number}: ${line.text}`

/** The rows of the span. A line that is not a row is a difference, unless it is the header. */
function* rowsOf(file: string, { from, to }: Span): Generator<Line, undefined> {
  for (const line of linesOf(file)) {
    const place = placeOf(line.text)
    if (Number.isNaN(place) ? line.number > 1 : place >= from && place < to) yield line
    // Places ascend, and torn lines come after durable ones.
    if (place >= to) return
  }
}

function* nothing(): Generator<Line, undefined> {}
