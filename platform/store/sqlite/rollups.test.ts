// Rollups against brute force: whatever is written, corrected, rolled and deleted, every level holds what its rows
// say, and an answer from rollups is the answer from all rows ever written.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { METRICS } from '../../../schemas/metrics.ts'
import { checkAsync } from '../../../test/fixtures/property.ts'
import type { Reading } from '../../codec/reading.ts'
import { bruteForce, bruteSteps, expectAggregate, mergeAll } from '../contract-oracle.ts'
import { batch, reading, type Row } from '../contract-rows.ts'
import type { Retention } from '../port.ts'
import { floorTo, HOUR, type Level, LEVELS } from '../rollup-plan.ts'
import { migrate, MIGRATIONS } from './migrations.ts'
import { SqliteStore } from './store.ts'

const folder = mkdtempSync(join(tmpdir(), 'plumbline-rollups-'))
let files = 0
const nextFile = (): string => join(folder, `${(files += 1)}.sqlite`)
afterAll(() => rmSync(folder, { recursive: true }))

const FOR_EVER: Retention = { rows: null, '1s': null, '1m': null, '1h': null }
const HOURS = HOUR.sizeMs
const open = async (file = nextFile()): Promise<SqliteStore> => {
  const store = new SqliteStore({ file, access: 'write' })
  await store.migrate()
  return store
}
const maintain = async (store: SqliteStore, nowMs: number, keep: Retention): Promise<number> => {
  let steps = 1
  while (await store.maintain(nowMs, keep)) steps += 1
  return steps
}

/** Every bucket of a level by (sensor, bucket, site, epoch), sealed and not sealed added up. */
function bucketsOf(file: string, { table }: Level): unknown[] {
  const db = new DatabaseSync(file, { readOnly: true })
  const found = db
    .prepare(
      `SELECT s.name AS sensor, bucket, i.name AS site, epoch, sum(count) AS count, min(min_seq) AS low, max(max_seq) AS high,
       sum(power_w__n) AS n, min(power_w__min) AS min, max(power_w__max) AS max, sum(power_w__sum) AS sum,
       sum(energy_wh__increase) AS increase, sum(energy_wh__resets) AS resets, max(energy_wh__last_ts) AS last_ts
       FROM ${table} r JOIN sensors s ON s.id = r.sensor_id JOIN sites i ON i.id = r.site_id
       GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`,
    )
    .all()
    .map((row) => ({ ...row }))
  db.close()
  return found
}

/** The same from rows, as far as each sensor's frontier reaches. */
function expectedBuckets(
  rows: readonly Reading[],
  frontiers: ReadonlyMap<string, number>,
  { sizeMs }: Level,
): unknown[] {
  const groups = new Map<string, Reading[]>()
  for (const r of rows) {
    if (r.ts >= frontiers.get(r.sensor_id)!) continue
    const key = JSON.stringify([r.sensor_id, floorTo(r.ts, sizeMs), r.site_id, r.epoch])
    groups.set(key, [...(groups.get(key) ?? []), r])
  }
  const found = [...groups].map(([key, members]) => {
    const [sensor, bucket, site, epoch] = JSON.parse(key) as [string, number, string, number]
    const powers = members.flatMap((r) => (r.power_w as number | null) ?? [])
    const meterTimes = members.filter((r) => r.energy_wh !== null).map((r) => r.ts)
    const seqs = members.map((r) => r.seq)
    return {
      ...{ sensor, bucket, site, epoch, count: members.length, low: Math.min(...seqs), high: Math.max(...seqs) },
      ...{ n: powers.length, min: powers.length === 0 ? null : Math.min(...powers) },
      max: powers.length === 0 ? null : Math.max(...powers),
      sum: powers.length === 0 ? null : powers.reduce((a, b) => a + b, 0),
      ...bruteSteps(
        rows,
        members.filter((r) => r.energy_wh !== null),
        'energy_wh',
      ),
      last_ts: meterTimes.length === 0 ? null : Math.max(...meterTimes),
    }
  })
  const order = (r: (typeof found)[number]): string =>
    [r.sensor, String(r.bucket + 1e9).padStart(12, '0'), r.site, r.epoch].join('\0')
  return found.sort((a, b) => (order(a) < order(b) ? -1 : 1))
}

function frontiersOf(file: string): Map<string, number> {
  const db = new DatabaseSync(file, { readOnly: true })
  const rows = db.prepare('SELECT name, rolled_to FROM sensors').all()
  db.close()
  return new Map(rows.map(({ name, rolled_to }) => [String(name), Number(rolled_to)]))
}

// Whole numbers: sums are then exact in any order. Times crowd around seconds, minutes and hours, before 1970 too.
const ts = fc
  .tuple(
    fc.constantFrom(-HOURS, 0, HOURS, 2 * HOURS),
    fc.constantFrom(0, 60_000, 120_000, 600_000),
    fc.nat(5),
    fc.constantFrom(-1, 0, 1, 500),
  )
  .map(([hour, minute, second, ms]) => hour + minute + second * 1_000 + ms)
const write = fc.record({
  sensor: fc.constantFrom('a', 'b'),
  site: fc.constantFrom('x', 'x', 'y'),
  ts,
  power: fc.option(fc.integer({ min: -1_000, max: 1_000 })),
  energy: fc.option(fc.nat(1_000)),
  epoch: fc.integer({ min: 0, max: 2 }),
})
const rounds = fc.array(fc.record({ rows: fc.array(write, { maxLength: 25 }), roll: fc.boolean() }), { maxLength: 5 })
const range = fc.record({
  from: fc.oneof(ts, fc.constantFrom(-2 * HOURS, 0)),
  length: fc.oneof(fc.integer({ min: 1, max: 5 * HOURS }), fc.constantFrom(HOURS, 4 * HOURS)),
  windowMs: fc.constantFrom(7_000, 60_000, 90_000, 1_000_000, HOURS, 3 * HOURS),
})

/** Numbers the writes, so that each is told from the others and versions are those of clean (0) and late. */
function numbered(rows: readonly (typeof write extends fc.Arbitrary<infer T> ? T : never)[], from: number): Row[] {
  return rows.map((w, i) => ({
    version: (from + i) % 3 === 0 ? 0 : from + i,
    reading: reading({
      ...{ sensor_id: w.sensor, site_id: w.site, ts: w.ts, epoch: w.epoch, seq: from + i },
      ...{ power_w: w.power, energy_wh: w.energy },
    }),
  }))
}

describe('rollups', () => {
  it('EM-2, EM-7: every level and every answer equal brute force, after late readings and overwrites too', async () => {
    await checkAsync(
      fc.asyncProperty(rounds, fc.array(range, { minLength: 1, maxLength: 3 }), async (given, ranges) => {
        const file = nextFile()
        const store = await open(file)
        const written: Row[] = []
        for (const { rows, roll } of given) {
          const next = numbered(rows, written.length)
          written.push(...next)
          await store.write(batch(next))
          if (roll) await maintain(store, 0, FOR_EVER)
        }
        const { rows, joined } = mergeAll(written)
        for (const level of LEVELS)
          expect(bucketsOf(file, level)).toEqual(expectedBuckets(rows, frontiersOf(file), level))
        for (const { from, length, windowMs } of ranges) {
          const query = {
            site: 'x',
            tenant: null,
            windowMs,
            from,
            to: from + length,
            metrics: ['power_w', 'energy_wh'],
          }
          const answer = await store.read((view) => view.aggregate(query))
          expectAggregate(answer, bruteForce(rows, query, joined), sitesOf(written))
        }
        await store.close()
      }),
      100,
    )
  }, 180_000)

  it('EM-6: rows that are deleted by their age stay in the aggregates, and readings that come after join them', async () => {
    await checkAsync(
      fc.asyncProperty(rounds, rounds, fc.integer({ min: 0, max: 3 }), async (before, after, hours) => {
        const store = await open()
        const written: Row[] = []
        const now = hours * HOURS
        const keep = { rows: HOURS, '1s': 2 * HOURS, '1m': 3 * HOURS, '1h': null }
        // No time twice: a correction of a reading that is gone cannot be told from another reading.
        const seen = new Set<string>()
        let maintained = false
        for (const { rows, roll } of [...before, ...after]) {
          const fresh = rows.filter((w) => !seen.has(`${w.sensor} ${w.ts}`) && seen.add(`${w.sensor} ${w.ts}`))
          const next = numbered(fresh, written.length)
          // Nor a meter's value between values that are gone: how it divides their step cannot be known any more.
          const horizon = maintained ? now - HOURS : -Infinity
          const known = next.map(({ version, reading: r }) => ({
            version,
            reading: r.ts < horizon ? { ...r, energy_wh: null } : r,
          }))
          written.push(...known)
          await store.write(batch(known))
          if (roll) await maintain(store, now, keep)
          maintained ||= roll
        }
        await maintain(store, now, keep)
        const query = { site: 'x', tenant: null, windowMs: HOURS, from: -2 * HOURS, to: 4 * HOURS, metrics: ['power_w', 'energy_wh'] } // prettier-ignore
        const answer = await store.read((view) => view.aggregate(query))
        expectAggregate(
          answer,
          bruteForce(
            written.map((row) => row.reading),
            query,
          ),
        )
        const counts = await store.read((view) => view.countsPerSensor())
        expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(written.length)
        await store.close()
      }),
      60,
    )
  })

  it('EM-7: are kept by the writes themselves, some rows behind the newest', async () => {
    const file = nextFile()
    const store = await open(file)
    for (let first = 0; first < 3_000; first += 300)
      await store.write(batch(Array.from({ length: 300 }, (_, i) => row((first + i) * 100))))
    expect(frontiersOf(file)).toEqual(new Map([['s', 240_000]]))
    expect(bucketsOf(file, LEVELS[0])).toHaveLength(240)
    await store.close()
  })

  it('TA-11: of a store that an earlier version wrote are made in bounded steps, and answers are right meanwhile', async () => {
    const file = nextFile()
    const db = new DatabaseSync(file)
    migrate(db, METRICS, 0, MIGRATIONS.slice(0, 3))
    db.exec(`INSERT INTO sensors (tenant, name) VALUES ('t', 's'); INSERT INTO sources VALUES (1, 'site', 'n', '{}');
      INSERT INTO sensor_sites VALUES ('site', 1, 1)`)
    const insert = db.prepare(
      'INSERT INTO readings (sensor_id, ts, version, epoch, seq, source_id, arrival, power_w) VALUES (1, ?, 0, 1, ?, 1, 0, ?)',
    )
    db.exec('BEGIN')
    for (let i = 0; i < 30_000; i += 1) insert.run(i * 1_000, i, i % 10)
    db.exec('COMMIT')
    db.close()
    const store = await open(file)
    const query = { site: 'site', tenant: null, windowMs: HOURS, from: 0, to: 9 * HOURS, metrics: ['power_w'] }
    const answer = (): Promise<unknown> => store.read((view) => view.aggregate(query))
    const before = await answer()
    const rolled: number[] = []
    do {
      rolled.push(frontiersOf(file).get('s')!)
      expect(await answer()).toEqual(before)
    } while (await store.maintain(0, FOR_EVER))
    expect(rolled.length).toBeGreaterThan(3)
    expect(frontiersOf(file).get('s')).toBe(29_940_000)
    expect(await answer()).toEqual(before)
    await store.close()
  })

  it('K11: of a store whose rollups knew no steps are made again from its rows, and estimated where the rows are gone', async () => {
    const file = nextFile()
    const store = await open(file)
    // One value a minute, and a new meter after five hours.
    const meter = Array.from({ length: 600 }, (_, i) => (i < 300 ? 1_000 + i : i - 300))
    await store.write(
      batch(meter.map((energy_wh, i) => ({ version: 0, reading: reading({ ts: i * 60_000, energy_wh }) }))),
    )
    await maintain(store, 10 * HOURS, { rows: 4 * HOURS, '1s': 4 * HOURS, '1m': null, '1h': null })
    const query = { site: 'site', tenant: null, windowMs: HOURS, from: 0, to: 10 * HOURS, metrics: ['energy_wh'] }
    const expected = await store.read((view) => view.aggregate(query))
    expect(expected.windows.map(({ metrics }) => metrics.energy_wh.increase)).toEqual([59, ...Array(4).fill(60), 59, ...Array(4).fill(60)]) // prettier-ignore
    expect(expected.windows.map(({ metrics }) => metrics.energy_wh.resets)).toEqual([0, 0, 0, 0, 0, 1, 0, 0, 0, 0])
    await store.close()
    const db = new DatabaseSync(file)
    for (const { table, sizeMs } of LEVELS) {
      db.exec(`ALTER TABLE ${table} DROP COLUMN energy_wh__increase; ALTER TABLE ${table} DROP COLUMN energy_wh__resets;
        ALTER TABLE ${table} ADD COLUMN energy_wh__first REAL; ALTER TABLE ${table} ADD COLUMN energy_wh__first_ts INTEGER`)
      const span = Math.max(0, sizeMs / 60_000 - 1)
      db.exec(`UPDATE ${table} SET energy_wh__first = energy_wh__last - ${span}`)
    }
    db.close()
    const again = await open(file)
    expect(await again.read((view) => view.aggregate(query))).toEqual(expected)
    await maintain(again, 10 * HOURS, { rows: 4 * HOURS, '1s': 4 * HOURS, '1m': null, '1h': null })
    expect(await again.read((view) => view.aggregate(query))).toEqual(expected)
    await again.close()
  })

  it('name what is not kept any more instead of answering from less', async () => {
    const store = await open()
    await store.write(batch(Array.from({ length: 300 }, (_, i) => row(i * 60_000))))
    const steps = await maintain(store, 4 * HOURS, { rows: HOURS, '1s': HOURS, '1m': 2 * HOURS, '1h': null })
    expect(steps).toBe(1)
    const ask = (windowMs: number, from: number): Promise<number[]> =>
      store.read(async (view) => {
        const query = { site: 'site', tenant: null, windowMs, from, to: 5 * HOURS, metrics: null }
        return (await view.aggregate(query)).windows.map(({ count }) => count)
      })
    expect(await ask(HOURS, 0)).toEqual([60, 60, 60, 60, 60])
    expect((await ask(60_000, 2 * HOURS)).length).toBe(180)
    await expect(ask(60_000, HOURS)).rejects.toMatchObject({ code: 'STORE_EXPIRED', retriable: false })
    await expect(ask(HOURS, 1_000)).rejects.toThrow(/only aggregates of 1h and longer are kept/)
    expect(await store.read((view) => view.recent({ tenant: 't', sensor: 's' }, 1_000))).toHaveLength(120)
    await store.close()
  })
})

const row = (at: number): Row => ({ version: 0, reading: reading({ ts: at, power_w: 1, epoch: 1, seq: at / 100 }) })

/** A site stays known when its only reading there was overwritten by one from elsewhere. */
const sitesOf = (written: readonly Row[]): number =>
  new Set(written.filter((row) => row.reading.site_id === 'x').map((row) => row.reading.sensor_id)).size
