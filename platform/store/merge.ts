// What the readings of one (sensor, ts) amount to. Pure; both stores apply it, and so may anyone who checks them.
//
// Cell by cell, the latest reading that says something of a metric wins: latest by version (see port.ts), whatever the
// order in which the store meets them. A null says nothing, so it never erases; a name in `erase` says that there is no
// value. A row is `corrected` when two of its readings said different things of one metric: completing is not correcting.
//
// The row carries the numbers (epoch, seq) of its first reading, the one of the least version, since that one took the
// place; the numbers of the others are joined to it, so that a correction is no hole in the numbering, nor leaves one.
// What belongs to a reading as a whole (site, node, labels, arrival) is that of the latest.
import type { Reading } from '../codec/reading.ts'

/** A reading among those of its sensor and event time. */
export interface Mark {
  readonly epoch: number
  readonly seq: number
  readonly version: number
}

export interface MergedRow {
  /** Numbers and version of the first reading. */
  readonly first: Mark
  /** Of the latest reading. */
  readonly version: number
  readonly corrected: boolean
  /** By index of the metrics. */
  readonly values: readonly (number | null)[]
  /** By index of the metrics: version of the reading that said it; -1: none has. Null with a version is erased. */
  readonly versions: readonly number[]
  /** The latest of the readings that joined the first one: a repeated write is known by them. */
  readonly joined: readonly Mark[]
}

/** Readings of one row that are remembered; a repeat of an older one counts once more, and changes nothing else. */
const JOINED_MAX = 16
const UNSAID = -1
const NOTHING: readonly string[] = []

export const markOf = ({ epoch, seq }: Reading, version: number): Mark => ({ epoch, seq, version })
const isSame = (a: Mark, b: Mark): boolean => a.epoch === b.epoch && a.seq === b.seq && a.version === b.version

/** Names whose value the reading withdraws. */
export const erasedBy = (reading: Reading): readonly string[] =>
  (reading as { readonly erase?: readonly string[] }).erase ?? NOTHING

/** The row of one reading alone. */
export function rowOf(reading: Reading, version: number, metrics: readonly string[]): MergedRow {
  const erased = erasedBy(reading)
  const values = metrics.map((name) => (reading[name] ?? null) as number | null)
  const versions = metrics.map((name, i) => (values[i] !== null || erased.includes(name) ? version : UNSAID))
  return { first: markOf(reading, version), version, corrected: false, values, versions, joined: [] }
}

export interface Merge {
  readonly row: MergedRow
  /** The reading is the row's latest: what belongs to a reading as a whole is now its. */
  readonly isLatest: boolean
  /** Whichever of the two has joined the other now; null: the reading was part of the row already. */
  readonly joined: Mark | null
}

/** A further reading of the row's sensor and event time. */
export function merge(row: MergedRow, reading: Reading, version: number, metrics: readonly string[]): Merge {
  const coming = rowOf(reading, version, metrics)
  let { corrected } = row
  const values = [...row.values]
  const versions = [...row.versions]
  for (let i = 0; i < metrics.length; i += 1) {
    if (coming.versions[i] === UNSAID) continue
    if (versions[i] !== UNSAID && values[i] !== coming.values[i]) corrected = true
    if (version < versions[i]) continue
    values[i] = coming.values[i]
    versions[i] = version
  }
  const isFirst = version < row.first.version
  const isKnown = [row.first, ...row.joined].some((mark) => isSame(mark, coming.first))
  const joined = isKnown ? null : isFirst ? row.first : coming.first
  const merged: MergedRow = {
    first: isFirst ? coming.first : row.first,
    version: Math.max(row.version, version),
    corrected,
    values,
    versions,
    joined: joined === null ? row.joined : latestOf([...row.joined, joined]),
  }
  return { row: merged, isLatest: version >= row.version, joined }
}

const latestOf = (marks: readonly Mark[]): Mark[] =>
  [...marks].sort((a, b) => b.version - a.version).slice(0, JOINED_MAX)

/** What a store keeps beside epoch, seq, version and the values. */
interface History {
  /** Version of the first reading, where it is not the row's. */
  readonly first?: number
  readonly corrected?: true
  /** By metric, where it is not the row's; an erased value has one always. */
  readonly said?: Readonly<Record<string, number>>
  readonly joined?: readonly (readonly [epoch: number, seq: number, version: number])[]
}

/** As JSON; null for the row of one reading that erased nothing: nearly all. */
export function historyOf(
  { first, version, corrected, values, versions, joined }: MergedRow,
  metrics: readonly string[],
): string | null {
  const said = metrics.flatMap((name, i) =>
    versions[i] !== UNSAID && (values[i] === null || versions[i] !== version) ? [[name, versions[i]] as const] : [],
  )
  if (first.version === version && !corrected && said.length === 0 && joined.length === 0) return null
  const history: History = {
    ...(first.version === version ? {} : { first: first.version }),
    ...(corrected ? { corrected } : {}),
    ...(said.length === 0 ? {} : { said: Object.fromEntries(said) }),
    ...(joined.length === 0 ? {} : { joined: joined.map(({ epoch, seq, version: of }) => [epoch, seq, of]) }),
  }
  return JSON.stringify(history)
}

/** The row that was stored. @param history as `historyOf` gave it */
export function storedRow(
  { epoch, seq, version }: Mark,
  values: readonly (number | null)[],
  history: string | null,
  metrics: readonly string[],
): MergedRow {
  const { first = version, corrected = false, said = {}, joined = [] } = parse(history)
  return {
    first: { epoch, seq, version: first },
    version,
    corrected,
    values,
    versions: metrics.map((name, i) => said[name] ?? (values[i] === null ? UNSAID : version)),
    joined: joined.map(([of, at, by]) => ({ epoch: of, seq: at, version: by })),
  }
}

export const isCorrected = (history: string | null): boolean => parse(history).corrected ?? false

const parse = (history: string | null): History => (history === null ? {} : (JSON.parse(history) as History))
