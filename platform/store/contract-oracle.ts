// The oracle of aggregates for tests of stores: brute force over plain rows, by the words of port.ts.
import { expect } from 'vitest'
import type { Reading } from '../codec/reading.ts'
import type { Aggregate } from './port.ts'

type Query = { site: string; windowMs: number; from: number; to: number; metrics: readonly string[] }
type Window = {
  start: number
  count: number
  metrics: Record<string, { count: number; min: number; max: number; sum: number; increase?: number }>
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
        metrics: bruteMetrics(all, members, metrics, Math.max(from, start)),
      })),
    seqs,
  }
}

function bruteMetrics(
  all: readonly Reading[],
  members: readonly Reading[],
  metrics: readonly string[],
  from: number,
): Window['metrics'] {
  const found: Window['metrics'] = {}
  for (const metric of metrics) {
    const having = members.filter((r) => r[metric] !== null)
    if (having.length === 0) continue
    const values = having.map((r) => r[metric] as number)
    const growths = [...new Set(having.map((r) => r.sensor_id))].map((sensor) => {
      const own = having.filter((r) => r.sensor_id === sensor).sort((a, b) => a.ts - b.ts)
      const before = all
        .filter((b) => b.sensor_id === sensor && b.ts < from && b[metric] !== null)
        .sort((a, b) => b.ts - a.ts)
      return Math.max(0, (own.at(-1)![metric] as number) - ((before[0] ?? own[0])[metric] as number))
    })
    const increase = metric === 'energy_wh' ? { increase: growths.reduce((a, b) => a + b, 0) } : {}
    found[metric] = {
      count: values.length,
      min: Math.min(...values),
      max: Math.max(...values),
      sum: values.reduce((a, b) => a + b, 0),
      ...increase,
    }
  }
  return found
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
