// The contract counts event times from 0 by ones. TDengine keeps a hundred years and windows of 10 ms or more, so for
// its sake the same suite runs with times moved and stretched; what comes back is what went in.
import { Fingerprint } from '../../codec/fingerprint.ts'
import { labelsOf } from '../../codec/labels.ts'
import { METRIC_NAMES } from '../../codec/reading.ts'
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
    tenantsAt: (site, limit) => view.tenantsAt(site, limit),
    sensors: async (query) =>
      (await view.sensors(query)).map((sensor) => ({ ...sensor, lastTs: outward(sensor.lastTs) })),
    seqCount: (sensors) => view.seqCount(sensors),
    seqCountWithin: (sensor, from, to) => view.seqCountWithin(sensor, inward(from), inward(to)),
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
    rowsSince: () => view.rowsSince(),
    async *rows(at, from) {
      for await (const page of view.rows(at, from === undefined ? undefined : inward(from))) yield page.map(back)
    },
    // Its sums are over moved times: they are recreated from the rows, and counted against the store's own.
    async *fingerprints(from) {
      for await (const { tenant, sensor, fingerprint } of view.fingerprints(
        from === undefined ? undefined : inward(from),
      )) {
        const outwards = new Fingerprint()
        const inwards = new Fingerprint()
        for await (const page of view.rows({ tenant, sensor }, from === undefined ? undefined : inward(from)))
          for (const row of page) {
            inwards.add(row, labelsOf(row), row.metrics, METRIC_NAMES)
            outwards.add(back(row), labelsOf(row), row.metrics, METRIC_NAMES)
          }
        if (!inwards.equals(fingerprint)) throw new Error(`${tenant}/${sensor}: the sum is not that of its rows`)
        yield { tenant, sensor, fingerprint: outwards }
      }
    },
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
