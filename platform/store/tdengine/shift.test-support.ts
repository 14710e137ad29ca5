// The contract counts event times from 0 by ones. TDengine keeps a hundred years and windows of 10 ms or more, so for
// its sake the same suite runs with times moved and stretched; what comes back is what went in.
import type { AggregateQuery, AnomalyFilter, Store, StoreView, WriteBatch } from '../port.ts'

const STRETCH = 10
/** A multiple of every window of the contract, stretched: windows stay where they are. */
const BEGIN = 7 * 3_600_000 * STRETCH * 6_000

const inward = (ts: number): number => BEGIN + ts * STRETCH
const outward = (ts: number): number => (ts - BEGIN) / STRETCH

export function shifted(store: Store): Store {
  return {
    migrate: () => store.migrate(),
    write: (batch, signal) => store.write(moved(batch), signal),
    read: (work) => store.read((view) => work(shiftedView(view))),
    close: () => store.close(),
  }
}

const moved = ({ rows, anomalies, progress }: WriteBatch): WriteBatch => ({
  rows: { ...rows, readings: rows.readings.map((reading) => ({ ...reading, ts: inward(reading.ts) })) },
  anomalies: anomalies.map((anomaly) => ({ ...anomaly, ts: inward(anomaly.ts) })),
  progress,
})

function shiftedView(view: StoreView): StoreView {
  const back = <T extends { readonly ts: number }>(row: T): T => ({ ...row, ts: outward(row.ts) })
  return {
    progress: () => view.progress(),
    tenantsOf: (sensor, limit) => view.tenantsOf(sensor, limit),
    sensors: async (query) =>
      (await view.sensors(query)).map((sensor) => ({ ...sensor, lastTs: outward(sensor.lastTs) })),
    seqCount: (sensors) => view.seqCount(sensors),
    recent: async (at, limit) => (await view.recent(at, limit))?.map(back) ?? null,
    aggregate: async (query) => {
      const aggregate = await view.aggregate(movedQuery(query))
      const windows = aggregate.windows.map((window) => ({ ...window, start: outward(window.start) }))
      return { ...aggregate, windows }
    },
    anomalies: async (filter, limit) => (await view.anomalies(movedFilter(filter), limit)).map(back),
    totals: () => view.totals(),
    countsPerSensor: (range) => view.countsPerSensor(range),
    coverage: () => view.coverage(),
  }
}

const movedQuery = (query: AggregateQuery): AggregateQuery => ({
  ...query,
  from: inward(query.from),
  to: inward(query.to),
  windowMs: query.windowMs * STRETCH,
})

const movedFilter = ({ from, to, ...rest }: AnomalyFilter): AnomalyFilter => ({
  ...rest,
  ...(from === undefined ? {} : { from: inward(from) }),
  ...(to === undefined ? {} : { to: inward(to) }),
})
