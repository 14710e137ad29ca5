// Many sensors that report seldom: the windows of such a site are read together, and say what they say one by one.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, it } from 'vitest'
import { bruteForce, expectAggregate } from '../contract-oracle.ts'
import { batch, reading } from '../contract-rows.ts'
import { SqliteStore } from './store.ts'

const folder = mkdtempSync(join(tmpdir(), 'plumbline-aggregate-'))
afterAll(() => rmSync(folder, { recursive: true }))

const MINUTE = 60_000
const SENSORS = 600

it('security 8: an aggregate over many sensors and windows is exact, from rollups, rows and both', async () => {
  const store = new SqliteStore({ file: join(folder, 'store.sqlite'), access: 'write' })
  await store.migrate()
  const rows = Array.from({ length: 3 * SENSORS }, (_, i) => {
    const at = Math.floor(i / SENSORS)
    return reading({
      sensor_id: `s${i % SENSORS}`,
      site_id: i % 10 === 0 && at === 1 ? 'y' : 'x',
      ts: [-7, 40 * MINUTE + (i % 7), 95 * MINUTE + 3][at] + (i % 3) * MINUTE,
      power_w: i % 5 === 0 ? null : i,
      energy_wh: [10, 15, 12][at],
      epoch: i % 2,
      seq: at,
    })
  })
  await store.write(batch(rows.map((row) => ({ reading: row, version: 0 }))))
  const metrics = ['power_w', 'energy_wh']
  const compare = async (): Promise<void> => {
    for (const [windowMs, from, to] of [
      [30_000, -MINUTE, 100 * MINUTE],
      [29_999, -5, 99 * MINUTE + 1],
      [7 * MINUTE, 0, 1_000 * MINUTE],
    ]) {
      const query = { site: 'x', tenant: null, windowMs, from, to, metrics }
      expectAggregate(await store.read((view) => view.aggregate(query)), bruteForce(rows, query))
    }
  }
  await compare()
  while (await store.maintain(0, { rows: null, '1s': null, '1m': null, '1h': null }));
  await compare()
  await store.close()
}, 180_000)
