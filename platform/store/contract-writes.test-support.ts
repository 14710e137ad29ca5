// The contract's writing part: merging, replays, progress, texts.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkAsync } from '../../test/fixtures/property.ts'
import type { Reading } from '../codec/reading.ts'
import { bruteSeqs, mergeAll } from './contract-oracle.ts'
import { AT, batch, clean, erasing, type Ground, late, reading } from './contract-rows.ts'
import type { StoreView } from './port.ts'

export function writingContract(name: string, { fresh, ownName }: Ground): void {
  describe(`${name}: writing`, () => {
    it('K8: a late reading completes and corrects the clean one cell by cell; a null erases nothing, whatever the order of writing', async () => {
      for (const order of [
        [0, 1, 2],
        [2, 1, 0],
        [1, 2, 0],
      ]) {
        const store = await fresh()
        const rows = [
          clean({ ts: 5, power_w: 1, voltage_v: 230 }),
          late(0, { ts: 5, power_w: 2, tags: { corrected: 'yes' } }),
          late(1, { ts: 5, current_a: 7, tags: { corrected: 'again' } }),
        ]
        for (const i of order) await store.write(batch([rows[i]]))
        const [stored] = (await store.read((view) => view.recent(AT, 10)))!
        expect(stored).toMatchObject({ ts: 5, version: 2, tags: { corrected: 'again' }, corrected: true })
        expect(stored.metrics).toEqual({ power_w: 2, voltage_v: 230, current_a: 7 })
      }
    })

    it('K8: completing is not correcting; erasing is, and what was erased stays so when an earlier reading comes', async () => {
      const store = await fresh()
      await store.write(batch([clean({ ts: 1, temperature_c: 20 }), late(0, { ts: 1, humidity_pct: 50 })]))
      await store.write(batch([late(1, { ts: 2, ...erasing('power_w') }), late(2, { ts: 3, power_w: 1 })]))
      await store.write(batch([clean({ ts: 2, power_w: 9, voltage_v: 230 })]))
      const rows = (await store.read((view) => view.recent(AT, 10)))!
      expect(rows.map(({ ts, metrics, corrected }) => [ts, metrics, corrected])).toEqual([
        [3, { power_w: 1 }, false],
        [2, { voltage_v: 230 }, true],
        [1, { temperature_c: 20, humidity_pct: 50 }, false],
      ])
    })

    it('faults 8: of A, B, A of one event time the latest wins', async () => {
      const store = await fresh()
      const rows = [clean({ ts: 1, power_w: 1 }), late(0, { ts: 1, power_w: 2 }), late(1, { ts: 1, power_w: 1 })]
      for (const row of rows) await store.write(batch([row]))
      expect((await store.read((view) => view.recent(AT, 10)))![0]).toMatchObject({
        metrics: { power_w: 1 },
        version: 2,
      })
      expect((await store.read((view) => view.totals())).superseded).toBe(2)
    })

    it('tdengine 4: a reading that corrects another is no hole in the numbering, wherever the row is that it corrects', async () => {
      const store = await fresh()
      const at = (ts: number, seq: number): Partial<Reading> => ({ ts, seq, epoch: 1, power_w: seq })
      const inOrder = [0, 1, 2, 3, 5, 7].map((seq) => clean(at(10 * seq, seq)))
      await store.write(batch([...inOrder, late(0, at(10, 4)), late(1, at(30, 8))]))
      await store.read(async (view) => {
        // 6 is missing; 4 and 8 are in the rows of 1 and 3.
        expect(await view.seqCount([AT])).toEqual({ present: 8, expected: 9 })
        expect(await view.seqCountWithin(AT, 20, 60)).toEqual({ present: 4, expected: 4 })
        expect(await view.seqCountWithin(AT, 0, 100)).toEqual({ present: 7, expected: 8 })
        const query = { site: 'site', tenant: null, windowMs: 1_000, from: 20, to: 60, metrics: null }
        expect((await view.aggregate(query)).seqs).toEqual({ present: 4, expected: 4 })
      })
    })

    it('EM-2: of several corrections the one with the greatest offset in late wins', async () => {
      const store = await fresh()
      await store.write(
        batch([late(9, { ts: 1, power_w: 9 }), late(3, { ts: 1, power_w: 3 }), clean({ ts: 1, power_w: 0 })]),
      )
      await store.write(batch([late(7, { ts: 1, power_w: 7 })]))
      expect((await store.read((view) => view.recent(AT, 10)))![0].metrics.power_w).toBe(9)
    })

    it('EM-3: writing a batch again changes nothing', async () => {
      const store = await fresh()
      const rows = batch([
        clean({ ts: 1, epoch: 1, seq: 0 }),
        clean({ ts: 2, epoch: 1, seq: 1 }),
        late(0, { ts: 2, epoch: 1, seq: 1, power_w: 3 }),
      ])
      await store.write(rows)
      const before = await store.read(async (view) => [await view.recent(AT, 10), await view.coverage()])
      await store.write(rows)
      expect(await store.read(async (view) => [await view.recent(AT, 10), await view.coverage()])).toEqual(before)
    })

    it('EM-2, K8: any writes in any order and batching end in what the readings of each (sensor, ts) say together', async () => {
      const value = fc.option(fc.integer({ min: 0, max: 3 }))
      const row = fc.record({
        sensor: fc.constantFrom('a', 'b'),
        ts: fc.integer({ min: -5, max: 30 }),
        epoch: fc.integer({ min: 0, max: 2 }),
        power: value,
        voltage: value,
        erase: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, fc.subarray(['power_w', 'voltage_v'])),
      })
      const store = await fresh()
      await checkAsync(
        fc.asyncProperty(
          fc.array(row, { maxLength: 80 }),
          fc.array(fc.nat(80), { maxLength: 5 }),
          fc.boolean(),
          async (given, cuts, inClean) => {
            const tenant = ownName()
            // Distinct versions, as offsets are; or all from clean, where the last write wins.
            const rows = given.map(
              ({ sensor: sensor_id, ts, epoch, power: power_w, voltage: voltage_v, erase }, seq) => ({
                version: inClean ? 0 : (seq * 37) % 101,
                reading: reading({
                  tenant_id: tenant,
                  sensor_id,
                  ts,
                  epoch,
                  seq,
                  power_w,
                  voltage_v,
                  ...erasing(...erase),
                }),
              }),
            )
            const bounds = [0, ...[...cuts].sort((x, y) => x - y), rows.length]
            for (let i = 1; i < bounds.length; i += 1) await store.write(batch(rows.slice(bounds[i - 1], bounds[i])))
            const { rows: merged, joined } = mergeAll(rows)
            await store.read(async (view) => {
              const refs = ['a', 'b'].map((sensor) => ({ tenant, sensor }))
              const stored = (await Promise.all(refs.map((ref) => view.recent(ref, 1e6)))).flatMap((all) => all ?? [])
              expect(stored.map(({ sensor, ts, seq, epoch, version, corrected, metrics }) => [sensor, ts, seq, epoch, version, Number(corrected), metrics.power_w ?? null, metrics.voltage_v ?? null]).sort()).toEqual(merged.map((r) => [r.sensor_id, r.ts, r.seq, r.epoch, r.version, r.corrected, r.power_w, r.voltage_v]).sort()) // prettier-ignore
              await countersMatchRows(view, tenant, rows.length)
              for (const ref of refs) {
                const own = merged.filter(({ sensor_id, ts }) => sensor_id === ref.sensor && ts >= 3 && ts < 20)
                expect(await view.seqCountWithin(ref, 3, 20)).toEqual(bruteSeqs(own, joined))
              }
            })
          },
        ),
        60,
      )
    })

    it('EM-3: keeps progress with the rows; offsets are replaced, times never go back, null leaves them', async () => {
      const store = await fresh()
      const at = { topic: 'telemetry.clean', partition: 1 }
      const other = { topic: 'telemetry.late', partition: 0, offset: 0, throughMs: null, eventMs: null }
      await store.write(batch([clean({ ts: 1 })], [{ ...at, after: null, offset: 10, throughMs: 500, eventMs: 400 }]))
      const later = { ...at, after: 10, offset: 12, throughMs: null, eventMs: 300 }
      await store.write(batch([], [later, { ...other, after: null }]))
      expect(await store.read((view) => view.progress())).toEqual([
        { ...at, offset: 12, throughMs: 500, eventMs: 400 },
        other,
      ])
    })

    it('EM-3: refuses a whole batch whose partition somebody else has moved on', async () => {
      const store = await fresh()
      const at = { topic: 'telemetry.clean', partition: 1, throughMs: null, eventMs: null }
      await store.write(batch([clean({ ts: 1 })], [{ ...at, after: null, offset: 10 }]))
      for (const after of [null, 9, 11]) {
        const moved = store.write(batch([clean({ ts: 2 })], [{ ...at, after, offset: 20 }]))
        await expect(moved).rejects.toMatchObject({ code: 'STORE_MOVED', retriable: false })
      }
      expect(await store.read((view) => view.recent(AT, 9))).toHaveLength(1)
      expect((await store.read((view) => view.progress()))[0].offset).toBe(10)
      await store.write(batch([clean({ ts: 2 })], [{ ...at, after: 10, offset: 20 }]))
      expect(await store.read((view) => view.recent(AT, 9))).toHaveLength(2)
    })

    it('keeps identifiers and tags as they are: quotes, unicode, NUL, SQL, 200 characters', async () => {
      const nasty = [
        "'; DROP TABLE readings; --",
        '"quoted"',
        'Zähler 温度 🌡',
        'a\0b',
        '',
        '__proto__',
        'x'.repeat(200),
        '%_*',
      ]
      const store = await fresh()
      const rows = nasty.map((text, i) =>
        clean({ tenant_id: text, sensor_id: text, site_id: text, node_id: text, ts: i, tags: { [text]: text } }),
      )
      await store.write(batch(rows))
      await store.read(async (view) => {
        for (const text of nasty) {
          const [stored] = (await view.recent({ tenant: text, sensor: text }, 1))!
          expect([stored.tenant, stored.sensor, stored.site, stored.node]).toEqual([text, text, text, text])
          expect(Object.entries(stored.tags)).toEqual([[text, text]])
          expect(
            (await view.aggregate({ site: text, tenant: text, windowMs: 1000, from: 0, to: 1000, metrics: null }))
              .windows[0].count,
          ).toBe(1)
          expect((await view.sensors({ site: text, limit: 10 })).map((s) => s.sensor)).toEqual([text])
        }
        expect((await view.sensors({ limit: 100 })).length).toBe(nasty.length)
      })
    })
  })
}

/** Counters kept while writing equal what is counted row by row, and every write is a row or superseded. */
async function countersMatchRows(view: StoreView, tenant: string, writes: number): Promise<void> {
  const counted = (await view.countsPerSensor()).filter((sensor) => sensor.tenant === tenant)
  const listed = await view.sensors({ tenant, limit: 1000 })
  expect(listed.map(({ sensor, count }) => [sensor, count])).toEqual(
    counted.map(({ sensor, count }) => [sensor, count]),
  )
  expect(counted.reduce((sum, { count, superseded }) => sum + count + superseded, 0)).toBe(writes)
}
