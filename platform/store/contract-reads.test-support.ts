// The contract's reading part: recent rows, aggregates, pages, counts, fingerprints.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkAsync } from '../../test/fixtures/property.ts'
import { Fingerprint } from '../codec/fingerprint.ts'
import { labelsOf } from '../codec/labels.ts'
import { METRIC_NAMES, type Reading } from '../codec/reading.ts'
import { bruteForce, expectAggregate, mergeAll } from './contract-oracle.ts'
import { anomaly, AT, batch, clean, type Ground, late, reading } from './contract-rows.ts'
import { NO_ROWS, type Store } from './port.ts'

export function readingContract(name: string, { fresh, ownName }: Ground): void {
  describe(`${name}: reading`, () => {
    it('EM-6: recent gives the latest by event time, newest first, and null for a sensor that is not known', async () => {
      const store = await fresh()
      await store.write(batch([5, 1, 9, 3].map((ts) => clean({ ts, power_w: ts }))))
      const recent = await store.read((view) => view.recent(AT, 2))
      expect(recent!.map((row) => row.ts)).toEqual([9, 5])
      expect(recent![0].arrivalMs).toBe(59)
      expect(await store.read((view) => view.recent({ tenant: 'other', sensor: 's' }, 2))).toBeNull()
    })

    it('EM-6: windowed aggregates equal brute force', async () => {
      const row = fc.record({
        sensor: fc.constantFrom('a', 'b', 'c'),
        site: fc.constantFrom('x', 'y'),
        ts: fc.integer({ min: -50, max: 200 }),
        // No store need keep the sign of zero, nor numbers so near to it that they are not normal doubles.
        power: fc.option(
          fc.double({ noNaN: true, min: -1e6, max: 1e6 }).map((value) => (Math.abs(value) < 1e-307 ? 0 : value)),
        ),
        energy: fc.option(fc.integer({ min: 0, max: 1000 })),
        epoch: fc.integer({ min: 0, max: 2 }),
        seq: fc.nat(50),
      })
      const range = fc.tuple(
        fc.integer({ min: -60, max: 210 }),
        fc.integer({ min: 0, max: 200 }),
        fc.constantFrom(1, 7, 10, 50, 1000),
      )
      const store = await fresh()
      await checkAsync(
        fc.asyncProperty(
          fc.uniqueArray(row, { selector: (r) => `${r.sensor}${r.ts}`, maxLength: 60 }),
          range,
          async (given, [from, length, windowMs]) => {
            const run = ownName()
            const rows = given.map((r) =>
              reading({
                tenant_id: run,
                sensor_id: r.sensor,
                site_id: `${run} ${r.site}`,
                ts: r.ts,
                power_w: r.power,
                energy_wh: r.energy,
                epoch: r.epoch,
                seq: r.seq,
              }),
            )
            await store.write(batch(rows.map((r) => ({ reading: r, version: 0 }))))
            const query = {
              site: `${run} x`,
              tenant: null,
              windowMs,
              from,
              to: from + length,
              metrics: ['power_w', 'energy_wh'],
            }
            const actual = await store.read((view) => view.aggregate(query))
            expectAggregate(actual, bruteForce(rows, query))
          },
        ),
        150,
      )
    })

    it.each([
      ['a meter that is replaced', [100, 110, 5, 15], 25, 1],
      ['a meter that is replaced by one that reads higher', [100, 110, 500], 400, 0],
      ['a reset to 0', [100, 110, 0, 7], 17, 1],
      ['a glitch to 0 and back, which cannot be told from two resets', [100, 110, 0, 120], 130, 1],
      ['several resets', [3, 1, 2, 1, 1, 0], 3, 3],
      ['a first value below the last of the hour', [10, 4, 12], 12, 1],
      ['one value', [100], 0, 0],
    ])(
      'K11: %s: the increase is what Prometheus counts, and long windows are the sum of short ones',
      async (_what, meter, increase, resets) => {
        const store = await fresh()
        await store.write(batch(meter.map((energy_wh, i) => clean({ ts: i * 600_000 + 7, energy_wh }))))
        for (const windowMs of [3_600_000, 1_200_000, 600_000, 1_000]) {
          const query = { site: 'site', tenant: null, windowMs, from: 0, to: 3_600_000, metrics: null }
          const { windows } = await store.read((view) => view.aggregate(query))
          const parts = windows.map((window) => window.metrics.energy_wh)
          expect(parts.reduce((sum, part) => sum + part.increase!, 0)).toBe(increase)
          expect(parts.reduce((sum, part) => sum + part.resets!, 0)).toBe(resets)
        }
      },
    )

    it('K11: growth adds up over windows and sites, for a sensor that moves and a range that begins in the middle', async () => {
      const store = await fresh()
      const meter = [100, 101, 103, 106, 5, 7] // replaced after 106
      const rows = meter.map((energy_wh, i) =>
        clean({ ts: i * 60_000, energy_wh, site_id: i === 2 || i === 4 ? 'other' : 'site' }),
      )
      await store.write(batch(rows))
      const increases = async (site: string, from: number, windowMs: number): Promise<(number | undefined)[]> => {
        const { windows } = await store.read((view) =>
          view.aggregate({ site, tenant: null, windowMs, from, to: 360_000, metrics: null }),
        )
        return windows.map((window) => window.metrics.energy_wh.increase)
      }
      expect(await increases('site', 0, 60_000)).toEqual([0, 1, 3, 2])
      expect(await increases('site', 0, 360_000)).toEqual([6])
      expect(await increases('site', 60_000, 180_000)).toEqual([1, 5])
      expect(await increases('other', 0, 60_000)).toEqual([2, 5])
    })

    it('K11: a late or corrected value changes the step that it ends and the next one, minutes later', async () => {
      const store = await fresh()
      const at = (minute: number, energy_wh: number | null): Partial<Reading> => ({ ts: minute * 60_000, energy_wh })
      await store.write(batch([at(0, 100), at(30, 110), at(31, null), at(90, 120), at(200, 130)].map(clean)))
      await upkeep(store)
      const increases = async (): Promise<number[]> => {
        const query = { site: 'site', tenant: null, windowMs: 3_600_000, from: 0, to: 14_400_000, metrics: null }
        const { windows } = await store.read((view) => view.aggregate(query))
        return windows.map((window) => window.metrics.energy_wh.increase!)
      }
      expect(await increases()).toEqual([10, 10, 10])
      await store.write(batch([late(0, at(30, 50))]))
      expect(await increases()).toEqual([50, 70, 10])
      await store.write(batch([late(1, at(31, 115))]))
      expect(await increases()).toEqual([115, 5, 10])
      await store.write(batch([late(2, at(61, 118))]))
      expect(await increases()).toEqual([115, 5, 10])
    })

    it('EM-6: an aggregate over hours is exact whatever the boundaries, and follows late readings and corrections', async () => {
      const store = await fresh()
      const minutes = Array.from({ length: 240 }, (_, i) => i)
      const rows = minutes.map((i) => clean({ ts: i * 60_000 + 500, power_w: i % 7, energy_wh: i, epoch: 1, seq: i }))
      for (let i = 0; i < rows.length; i += 50) await store.write(batch(rows.slice(i, i + 50)))
      await upkeep(store)
      const corrected = late(0, { ts: 30 * 60_000 + 500, power_w: 1_000, energy_wh: 30, epoch: 1, seq: 30 })
      const added = late(1, { ts: 90 * 60_000 + 700, power_w: -1_000, energy_wh: null, epoch: 1, seq: 300 })
      await store.write(batch([corrected, added]))
      const { rows: readings, joined } = mergeAll([...rows, corrected, added])
      for (const [windowMs, from, to] of [
        [3_600_000, 0, 14_400_000],
        [3_600_000, 1_234, 14_000_001],
        [90_000, 1_800_000, 9_000_000],
        [7_000, 1_799_999, 2_000_000],
        [86_400_000, -5, 14_400_000],
      ]) {
        const query = { site: 'site', tenant: null, windowMs, from, to, metrics: ['power_w', 'energy_wh'] }
        expectAggregate(await store.read((view) => view.aggregate(query)), bruteForce(readings, query, joined))
      }
    })

    it('EM-7: the average never leaves [min, max] by rounding', async () => {
      const store = await fresh()
      await store.write(batch([1, 2, 3].map((ts) => clean({ ts, power_w: 0.1 }))))
      const { windows } = await store.read((view) =>
        view.aggregate({ site: 'site', tenant: null, windowMs: 10, from: 0, to: 10, metrics: null }),
      )
      expect(windows[0].metrics.power_w).toMatchObject({ min: 0.1, max: 0.1, avg: 0.1 })
    })

    it('lists sensors in pages, with site, node, count and last event time', async () => {
      const store = await fresh()
      const rows = Array.from({ length: 25 }, (_, i) =>
        clean({
          sensor_id: `s${i % 5}`,
          tenant_id: `t${i % 2}`,
          ts: i,
          node_id: `n${i}`,
          site_id: i % 2 ? 'odd' : 'even',
        }),
      )
      await store.write(batch(rows))
      await store.read(async (view) => {
        const all = await view.sensors({ limit: 100 })
        expect(all.length).toBe(10)
        expect(all[0]).toEqual({ tenant: 't0', sensor: 's0', site: 'even', node: 'n20', count: 3, lastTs: 20 })
        const paged = []
        for (
          let page = await view.sensors({ limit: 3 });
          page.length > 0;
          page = await view.sensors({ limit: 3, after: page.at(-1)! })
        )
          paged.push(...page)
        expect(paged).toEqual(all)
        expect((await view.sensors({ site: 'odd', limit: 100 })).every((sensor) => sensor.tenant === 't1')).toBe(true)
        expect(await view.tenantsOf('s0', 5)).toEqual(['t0', 't1'])
        expect(await view.tenantsAt('even', 5)).toEqual(['t0'])
        expect(await view.tenantsAt('odd', 5)).toEqual(['t1'])
        expect(await view.tenantsAt('nowhere', 5)).toEqual([])
        expect((await view.sensors({ sensor: 's0', limit: 9 })).map(({ tenant }) => tenant)).toEqual(['t0', 't1'])
        expect(await view.sensors({ sensor: 's', limit: 9 })).toEqual([])
      })
    })

    it('keeps a moved sensor’s readings with the site where they were taken', async () => {
      const store = await fresh()
      await store.write(batch([clean({ ts: 1, site_id: 'before' }), clean({ ts: 2, site_id: 'after' })]))
      for (const site of ['before', 'after']) {
        const { windows } = await store.read((view) =>
          view.aggregate({ site, tenant: null, windowMs: 100, from: 0, to: 100, metrics: null }),
        )
        expect(windows.map((window) => window.count)).toEqual([1])
      }
    })

    it('gives anomalies newest first, by tenant, sensor, site and time, each once', async () => {
      const store = await fresh()
      const anomalies = [1, 2, 3].map((ts) => anomaly({ ts, sensor_id: ts === 2 ? 'other' : 's' }))
      await store.write({ rows: NO_ROWS, anomalies, progress: [] })
      await store.write({ rows: NO_ROWS, anomalies, progress: [] })
      await store.read(async (view) => {
        expect(await view.anomalies({}, 10)).toEqual([...anomalies].reverse())
        expect((await view.anomalies({ sensor: 's', tenant: 't', site: 'site' }, 10)).map((a) => a.ts)).toEqual([3, 1])
        expect((await view.anomalies({ from: 2, to: 3 }, 10)).map((a) => a.ts)).toEqual([2])
        expect((await view.anomalies({}, 1)).map((a) => a.ts)).toEqual([3])
        expect(await view.anomalies({ site: 'elsewhere' }, 10)).toEqual([])
      })
    })

    it('faults 3: fingerprints say of every sensor what its rows amount to, whole or from a time on; rows come in order', async () => {
      const store = await fresh()
      const values = [7, -0.5, 1e300, 0, 3.25]
      const rows = values.flatMap((power_w, i) =>
        ['b', 'a'].map((sensor_id) =>
          clean({
            sensor_id,
            ts: (i * 7) % 5,
            epoch: 3,
            seq: i,
            site_id: `s${i}`,
            tags: { b: 'ü', a: sensor_id },
            power_w,
            energy_wh: i,
          }),
        ),
      )
      await store.write(batch(rows))
      for (const from of [undefined, 2]) {
        const kept = rows.filter(({ reading: { ts } }) => from === undefined || ts >= from)
        await store.read(async (view) => {
          const seen: string[] = []
          for await (const { tenant, sensor, fingerprint } of view.fingerprints(from)) {
            seen.push(`${tenant}/${sensor}`)
            const expected = new Fingerprint()
            for (const { reading: row } of kept)
              if (row.sensor_id === sensor)
                expected.add(row, labelsOfReading(row), row as Record<string, unknown>, METRIC_NAMES)
            expect([String(fingerprint), fingerprint.rows]).toEqual([String(expected), expected.rows])
            const times: number[] = []
            for await (const page of view.rows({ tenant, sensor }, from)) times.push(...page.map(({ ts }) => ts))
            expect(times).toEqual([...new Set(kept.map(({ reading: { ts } }) => ts))].sort((a, b) => a - b))
          }
          expect(seen).toEqual(['t/a', 't/b'])
          expect(await view.rowsSince()).toBeNull()
        })
      }
    })

    it('X-2: counts distinct readings per sensor, whole or by a range of seq, and names coverage per epoch', async () => {
      const store = await fresh()
      await store.write(batch([0, 1, 2, 4, 5].map((seq) => clean({ ts: seq * 10, epoch: 7, seq }))))
      await store.write(batch([late(0, { ts: 20, epoch: 7, seq: 3 })]))
      await store.read(async (view) => {
        expect(await view.countsPerSensor()).toEqual([{ ...AT, count: 5, superseded: 1 }])
        expect(await view.countsPerSensor({ epoch: 7, fromSeq: 1, toSeq: 4 })).toEqual([
          { ...AT, count: 3, superseded: 1 },
        ])
        expect(await view.coverage()).toEqual([{ ...AT, epoch: 7, count: 5, minSeq: 0, maxSeq: 5 }])
        expect(await view.seqCount([AT, { tenant: 't', sensor: 'unknown' }])).toEqual({ present: 6, expected: 6 })
        expect(await view.totals()).toEqual({ sensors: 1, readings: 5, superseded: 1, anomalies: 0 })
      })
    })
  })
}

/** What the store does in the background, to its end, with everything kept. */
async function upkeep(store: Store): Promise<void> {
  const keep = { rows: null, '1s': null, '1m': null, '1h': null }
  while (await store.maintain?.(0, keep));
}

const labelsOfReading = ({ site_id: site, node_id: node, tags }: Reading): number => labelsOf({ site, node, tags })
