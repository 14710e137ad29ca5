// The pool on a real store with real threads. Long reads are made long by what they ask for, not by waiting.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { batch, reading } from '../../platform/store/contract-rows.ts'
import { SqliteStore } from '../../platform/store/sqlite/store.ts'
import { ReadPool } from './pool.ts'

const folder = mkdtempSync(join(tmpdir(), 'plumbline-pool-'))
const file = join(folder, 'store.sqlite')
const config = { STORE: 'sqlite', SQLITE_FILE: file, TDENGINE_USERNAME: 'root' } as const
const SENSORS = 3_000
const LONG = { site: 'site', window: 1_000, from: 0, to: 300_000 }
const opened: ReadPool[] = []
const never = new AbortController().signal

function pool(quick = 100, heavy = 100, file_ = file): ReadPool {
  const options = { store: { ...config, SQLITE_FILE: file_ } as never, workers: 2, waitingMax: { quick, heavy } }
  const made = new ReadPool({ ...options, log: pino({ level: 'silent' }) })
  opened.push(made)
  return made
}

beforeAll(async () => {
  const store = new SqliteStore({ file, access: 'write' })
  await store.migrate()
  const rows = Array.from({ length: SENSORS * 10 }, (_, i) => ({
    version: 0,
    reading: reading({ sensor_id: `s${i % SENSORS}`, ts: Math.floor(i / SENSORS) * 150_000, power_w: 1, energy_wh: i }),
  }))
  await store.write(batch(rows))
  await store.close()
})
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('the pool of read threads', () => {
  it('security 8: answers quick reads and turns the event loop while aggregates have all the workers they may', async () => {
    const reads = pool()
    const order: string[] = []
    const long = [1, 2, 3].map((i) => reads.read('aggregate', LONG, never).then(() => order.push(`long ${i}`)))
    let turns = 0
    const ticking = setInterval(() => (turns += 1), 5)
    for (let i = 0; i < 5; i += 1) {
      const found = await reads.read('recent', { id: 's1', limit: 3 }, never)
      expect(found).toMatchObject({ kind: 'found', body: { sensor: 's1' } })
      order.push('quick')
    }
    await Promise.all(long)
    clearInterval(ticking)
    expect(order.lastIndexOf('quick')).toBeLessThan(order.indexOf('long 3'))
    expect(turns).toBeGreaterThan(0)
  })

  it('security 9: refuses what exceeds the bound of waiting reads, and says which it is', async () => {
    const reads = pool(1, 1)
    const long = [1, 2].map(() => reads.read('aggregate', LONG, never))
    await expect(reads.read('aggregate', LONG, never)).rejects.toMatchObject({ code: 'BUSY', retriable: true })
    // The other kind has room of its own.
    await expect(reads.read('recent', { id: 's1', limit: 1 }, never)).resolves.toMatchObject({ kind: 'found' })
    await Promise.all(long)
  })

  it('security 8: gives a read up at once when its client goes, running or waiting, and continues with the next', async () => {
    const reads = pool()
    const running = new AbortController()
    const waiting = new AbortController()
    const first = reads.read('aggregate', LONG, running.signal)
    const second = reads.read('aggregate', LONG, waiting.signal)
    const third = reads.read('aggregate', { ...LONG, from: 299_000 }, never)
    waiting.abort()
    await expect(second).rejects.toMatchObject({ code: 'READ_ABANDONED' })
    running.abort()
    await expect(first).rejects.toMatchObject({ code: 'READ_ABANDONED' })
    await expect(third).resolves.toMatchObject({ kind: 'found' })
    await expect(reads.read('aggregate', LONG, AbortSignal.abort())).rejects.toMatchObject({ code: 'READ_ABANDONED' })
  })

  it('hands errors on as what they are', async () => {
    const reads = pool()
    await expect(reads.read('recent', { id: 'nobody', limit: 1 }, never)).resolves.toMatchObject({ kind: 'absent' })
    const none = pool(9, 9, join(folder, 'none.sqlite'))
    const refused = none.read('totals', {}, never)
    await expect(refused).rejects.toMatchObject({ name: 'StoreError', retriable: true })
  })

  it('ends with what it is doing when it is closed', async () => {
    const reads = pool()
    const long = [1, 2, 3].map((_) =>
      expect(reads.read('aggregate', LONG, never)).rejects.toMatchObject({ code: 'CLOSED' }),
    )
    await reads.close()
    await Promise.all(long)
    await expect(reads.read('totals', {}, never)).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
