// The oracle of aggregates for tests of stores: brute force over plain rows, by the words of port.ts.
import { expect } from 'vitest'
import type { Reading } from '../codec/reading.ts'
import type { Aggregate } from './port.ts'

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
): { sensors: number; windows: Window[]; seqs: { present: number; expected: number } } {
  const there = all.filter((r) => r.site_id === site)
  const rows = there.filter((r) => r.ts >= from && r.ts < to)
  const windows = new Map<number, Reading[]>()
  for (const r of rows) {
    const start = Math.floor(r.ts / windowMs) * windowMs
    windows.set(start, [...(windows.get(start) ?? []), r])
  }
  const lanes = new Map<string, number[]>()
  for (const r of rows.filter((row) => row.epoch !== 0))
    lanes.set(`${r.sensor_id} ${r.epoch}`, [...(lanes.get(`${r.sensor_id} ${r.epoch}`) ?? []), r.seq])
  const seqs = { present: 0, expected: 0 }
  for (const numbers of lanes.values()) {
    seqs.present += numbers.length
    seqs.expected += Math.max(...numbers) - Math.min(...numbers) + 1
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
    seqs,
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
