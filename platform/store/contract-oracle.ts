// The oracle of aggregates for tests of stores: brute force over plain rows, by the words of port.ts.
import { expect } from 'vitest'
import { METRIC_NAMES, type Reading } from '../codec/reading.ts'
import type { Row } from './contract-rows.ts'
import { erasedBy } from './merge.ts'
import type { Aggregate } from './port.ts'

/** A row's cells and numbers; `corrected` is 1 or 0. */
export type MergedReading = Reading & { readonly version: number; readonly corrected: number }

/** What the rows of one (sensor, ts) amount to, and the numbers of the readings that have no row of their own. */
export interface Merged {
  readonly rows: readonly MergedReading[]
  readonly joined: readonly { readonly sensor: string; readonly epoch: number; readonly seq: number }[]
}

/** By the words of port.ts and merge.ts, from all writes in the order in which they were made. */
export function mergeAll(writes: readonly Row[]): Merged {
  const places = new Map<string, Row[]>()
  for (const write of writes) {
    const key = `${write.reading.tenant_id} ${write.reading.sensor_id} ${write.reading.ts}`
    places.set(key, [...(places.get(key) ?? []), write])
  }
  const rows: Merged['rows'][number][] = []
  const joined: Merged['joined'][number][] = []
  for (const place of places.values()) {
    const inOrder = [...place].sort((a, b) => a.version - b.version)
    const [first] = inOrder
    const latest = inOrder.at(-1)!
    let corrected = false
    const cells: Record<string, number | null> = {}
    for (const name of METRIC_NAMES) {
      const said = inOrder
        .filter(({ reading }) => reading[name] !== null || erasedBy(reading).includes(name))
        .map(({ reading }) => reading[name] as number | null)
      corrected ||= new Set(said).size > 1
      cells[name] = said.at(-1) ?? null
    }
    const { epoch, seq } = first.reading
    rows.push({
      ...latest.reading,
      ...cells,
      epoch,
      seq,
      version: latest.version,
      corrected: Number(corrected),
    } as MergedReading)
    for (const { reading } of inOrder.slice(1))
      if (reading.epoch !== 0) joined.push({ sensor: reading.sensor_id, epoch: reading.epoch, seq: reading.seq })
  }
  return { rows, joined }
}

/** Numbering of rows, per (sensor, epoch) from the first to the last of their numbers. */
export function bruteSeqs(rows: readonly Reading[], joined: Merged['joined']): { present: number; expected: number } {
  const lanes = new Map<string, number[]>()
  for (const { sensor_id, epoch, seq } of rows)
    if (epoch !== 0) lanes.set(`${sensor_id} ${epoch}`, [...(lanes.get(`${sensor_id} ${epoch}`) ?? []), seq])
  const seqs = { present: 0, expected: 0 }
  for (const [lane, numbers] of lanes) {
    const [low, high] = [Math.min(...numbers), Math.max(...numbers)]
    const others = joined.filter(
      ({ sensor, epoch, seq }) => `${sensor} ${epoch}` === lane && seq >= low && seq <= high && !numbers.includes(seq),
    )
    seqs.present += numbers.length + new Set(others.map(({ seq }) => seq)).size
    seqs.expected += high - low + 1
  }
  return seqs
}

type Query = { site: string; windowMs: number; from: number; to: number; metrics: readonly string[] }
type Window = {
  start: number
  count: number
  metrics: Record<string, { count: number; min: number; max: number; sum: number; increase?: number; resets?: number }>
}

/** The answer of the store, computed from plain rows. */
export function bruteForce(
  all: readonly Reading[],
  { site, windowMs, from, to, metrics }: Query,
  joined: Merged['joined'] = [],
): { sensors: number; windows: Window[]; seqs: { present: number; expected: number } } {
  const there = all.filter((r) => r.site_id === site)
  const rows = there.filter((r) => r.ts >= from && r.ts < to)
  const windows = new Map<number, Reading[]>()
  for (const r of rows) {
    const start = Math.floor(r.ts / windowMs) * windowMs
    windows.set(start, [...(windows.get(start) ?? []), r])
  }
  return {
    sensors: new Set(there.map((r) => r.sensor_id)).size,
    windows: [...windows]
      .sort(([a], [b]) => a - b)
      .map(([start, members]) => ({
        start,
        count: members.length,
        metrics: bruteMetrics(all, members, metrics),
      })),
    seqs: bruteSeqs(rows, joined),
  }
}

function bruteMetrics(
  all: readonly Reading[],
  members: readonly Reading[],
  metrics: readonly string[],
): Window['metrics'] {
  const found: Window['metrics'] = {}
  for (const metric of metrics) {
    const having = members.filter((r) => r[metric] !== null)
    if (having.length === 0) continue
    const values = having.map((r) => r[metric] as number)
    const steps = metric === 'energy_wh' ? bruteSteps(all, having, metric) : {}
    found[metric] = {
      count: values.length,
      min: Math.min(...values),
      max: Math.max(...values),
      sum: values.reduce((a, b) => a + b, 0),
      ...steps,
    }
  }
  return found
}

/** Steps that the readings end, each from the reading of its sensor before it, wherever that was taken. */
export function bruteSteps(
  all: readonly Reading[],
  having: readonly Reading[],
  metric: string,
): { increase: number; resets: number } {
  let increase = 0
  let resets = 0
  for (const { tenant_id, sensor_id, ts, [metric]: value } of having) {
    const before = all
      .filter((r) => r.tenant_id === tenant_id && r.sensor_id === sensor_id && r.ts < ts && r[metric] !== null)
      .reduce<Reading | null>((latest, r) => (latest === null || r.ts > latest.ts ? r : latest), null)
    if (before === null) continue
    const fell = (value as number) < (before[metric] as number)
    increase += fell ? (value as number) : (value as number) - (before[metric] as number)
    resets += fell ? 1 : 0
  }
  return { increase, resets }
}

/** @param sensors that ever stood at the site, where the rows do not say so any more */
export function expectAggregate(
  actual: Aggregate,
  expected: ReturnType<typeof bruteForce>,
  sensors = expected.sensors,
): void {
  expect({ sensors: actual.sensors, seqs: actual.seqs }).toEqual({ sensors, seqs: expected.seqs })
  expect(actual.windows.map(({ start, count }) => [start, count])).toEqual(
    expected.windows.map(({ start, count }) => [start, count]),
  )
  actual.windows.forEach((window, i) => {
    expect(Object.keys(window.metrics).sort()).toEqual(Object.keys(expected.windows[i].metrics).sort())
    for (const [name, { avg, sum, ...rest }] of Object.entries(window.metrics)) {
      const { sum: bruteSum, ...brute } = expected.windows[i].metrics[name]
      expect(rest).toEqual(brute)
      expect(sum).toBeCloseTo(bruteSum, 6)
      expect(avg).toBeCloseTo(bruteSum / brute.count, 6)
      expect(avg >= rest.min && avg <= rest.max).toBe(true)
    }
  })
}
