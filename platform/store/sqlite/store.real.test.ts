// The SQLite store among processes: a writer that is killed in the middle of batches, readers beside a writer, a
// second writer, and a disk that is full.
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { batch, reading } from '../contract-rows.ts'
import { SqliteStore } from './store.ts'

const WRITER = fileURLToPath(new URL('./writer.test-child.ts', import.meta.url))
const NODE = fileURLToPath(new URL('../../../node_modules/node/bin/node', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'plumbline-sqlite-'))
afterAll(() => rmSync(folder, { recursive: true }))

const opened = async (file: string): Promise<SqliteStore> => {
  const store = new SqliteStore({ file, access: 'write' })
  await store.migrate()
  return store
}

/** Starts a process that writes batch after batch; resolves once it has written some. */
async function startWriter(file: string): Promise<{ kill(): Promise<void> }> {
  const child = fork(WRITER, [file], { execPath: NODE, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await new Promise<void>((resolve) => child.once('message', () => resolve()))
  return {
    kill: () => {
      child.kill('SIGKILL')
      return gone
    },
  }
}

/** The child writes reading n at offset n, so rows and offset are consistent iff they are equally many. */
async function rowsAndOffset(store: SqliteStore): Promise<{ rows: number; counters: number; offset: number }> {
  return store.read(async (view) => {
    const counted = await view.countsPerSensor()
    const [{ offset }] = await view.progress()
    return {
      rows: counted.reduce((sum, { count }) => sum + count, 0),
      counters: (await view.totals()).readings,
      offset,
    }
  })
}

describe('SQLite store among processes', () => {
  it('EM-3: killed in the middle of batches, rows, counters and offset are those of the same batch', async () => {
    const file = join(folder, 'killed.sqlite')
    let before = 0
    for (let kill = 0; kill < 8; kill += 1) {
      const writer = await startWriter(file)
      await delay(kill * 37)
      await writer.kill()
      const store = await opened(file)
      const { rows, counters, offset } = await rowsAndOffset(store)
      expect(rows).toBe(offset)
      expect(counters).toBe(offset)
      expect(offset).toBeGreaterThan(before)
      before = offset
      await store.close()
    }
  })

  it('EM-4: readers see one consistent state while another process writes', async () => {
    const file = join(folder, 'readers.sqlite')
    const writer = await startWriter(file)
    const readers = Array.from({ length: 6 }, () => new SqliteStore({ file, access: 'read' }))
    const offsets = new Set<number>()
    for (let round = 0; round < 20; round += 1) {
      const states = await Promise.all(readers.flatMap((reader) => [rowsAndOffset(reader), rowsAndOffset(reader)]))
      for (const { rows, counters, offset } of states) {
        expect([rows, counters]).toEqual([offset, offset])
        offsets.add(offset)
      }
    }
    expect(offsets.size).toBeGreaterThan(1)
    await writer.kill()
    await Promise.all(readers.map((reader) => reader.close()))
  })

  it('a second process that writes the same sensors makes neither forget a row', async () => {
    const file = join(folder, 'two.sqlite')
    const [one, two] = [await opened(file), await opened(file)]
    for (let ts = 0; ts < 40; ts += 1) {
      const rows = batch([
        {
          version: 0,
          reading: reading({ ts, seq: ts, epoch: 1, site_id: `site-${ts % 3}`, tags: { n: String(ts % 5) } }),
        },
      ])
      await (ts % 2 ? one : two).write(rows)
      // The other one has not seen that row: it must not take its own last one for the newest.
      await (ts % 2 ? two : one).write(rows)
    }
    await one.read(async (view) => {
      expect(await view.countsPerSensor()).toEqual([{ tenant: 't', sensor: 's', count: 40, superseded: 0 }])
      expect(await view.totals()).toMatchObject({ readings: 40, superseded: 0 })
    })
    await Promise.all([one.close(), two.close()])
  })

  it('EM-5: a batch that did not go in leaves nothing behind and can be written again', async () => {
    const file = join(folder, 'again.sqlite')
    const store = await opened(file)
    const rows = [1, 2, 3].map((ts) => ({
      version: 0,
      reading: reading({ ts, epoch: 1, seq: ts, sensor_id: `new-${ts}` }),
    }))
    const refused = { topic: 't', partition: 0, after: 99, offset: 3, throughMs: null, eventMs: null }
    await expect(store.write(batch(rows, [refused]))).rejects.toMatchObject({ code: 'STORE_MOVED' })
    await store.write(batch(rows, [{ ...refused, after: null }]))
    await store.read(async (view) => {
      expect(await view.totals()).toEqual({ sensors: 3, readings: 3, superseded: 0, anomalies: 0 })
      expect((await view.recent({ tenant: 't', sensor: 'new-2' }, 9))!.map(({ ts }) => ts)).toEqual([2])
    })
    await store.close()
  })

  it('readers wait for the sink’s migrations with an error that says so', async () => {
    const file = join(folder, 'none.sqlite')
    const reader = new SqliteStore({ file, access: 'read' })
    await expect(reader.read((view) => view.totals())).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      retriable: true,
    })
    new DatabaseSync(file).exec('CREATE TABLE foreign_table (x)')
    await expect(reader.read((view) => view.totals())).rejects.toMatchObject({
      code: 'STORE_NOT_READY',
      retriable: true,
    })
    const store = new SqliteStore({ file, access: 'write' })
    await store.migrate()
    expect((await reader.read((view) => view.totals())).readings).toBe(0)
    await Promise.all([reader.close(), store.close()])
  })
})
