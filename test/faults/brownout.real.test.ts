// The sink through brownouts of its store, under load, on a real broker: as a process whose store stalls, does not
// answer or fails half of the time for a while. SOAK=1 makes each brownout a whole minute with the deadline that the sink
// has by default; else all is shorter. FIGURES names a file for what was measured, one line of JSON per brownout.
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseExposition, sum } from '../../deploy/stack/core/exposition.ts'
import { freePorts } from '../../platform/free-port.ts'
import { retriesWithin } from '../../platform/retry-budget.ts'
import type { SensorCount } from '../../platform/store/port.ts'
import { SqliteStore } from '../../platform/store/sqlite/store.ts'
import { CLEAN } from '../../schemas/topics.ts'
import { RETRIES } from '../../sinks/store-gate.ts'
import type { FaultyStore, StoreFault } from '../fixtures/faulty-store.ts'
import { type LoadRecord, readingOf, recordOf } from '../fixtures/load.ts'
import { until } from '../fixtures/metric.ts'
import type { ServiceProcess } from '../fixtures/processes.ts'
import { type Stack, startStack } from '../fixtures/refine.ts'

const IS_SOAK = process.env.SOAK === '1'
const { FIGURES } = process.env
const BROWNOUT_MS = IS_SOAK ? 60_000 : 6_000
const WRITE_TIMEOUT_MS = IS_SOAK ? 5_000 : 1_000
/** Longest time from the end of a brownout until the store has taken rows again and the breaker is closed. */
const RECOVERY_MS = 10_000
const PARTITIONS = 3
/** What waits: one fetch of 1 MiB per partition. Of a record at least key and value of the load's first are in it. */
const { key: KEY, value: VALUE } = recordOf(readingOf('b0', 1, 0, 1), 1)
const WAITING_ROWS = Math.floor((PARTITIONS * 1_048_576) / (KEY!.length + VALUE!.length))
/** What the process may grow by meanwhile, bytes: those rows as objects, and what the collector leaves lying about. */
const GROWTH_BYTES = 150 * 1_048_576
const DETAIL = /writing to the store fails: .+; breaker .+, \d+ outages in a row, next try in .+ s; \d+ fetches wait/
const SENSORS = 100

let stack: Stack
let folder: string
let base: string
let env: Record<string, string>
const loads: { stop(): Promise<number> }[] = []

beforeAll(async () => {
  stack = await startStack(PARTITIONS)
  folder = mkdtempSync(join(tmpdir(), 'plumbline-brownout-'))
  const [port] = await freePorts(1)
  base = `http://127.0.0.1:${port}`
  env = stack.env({ SINKS_PORT: String(port), SINK_WRITE_TIMEOUT_MS: String(WRITE_TIMEOUT_MS), SINK_LINGER_MS: '20' })
})
afterAll(async () => {
  await Promise.all(loads.map((load) => load.stop()))
  await stack?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const start = (main: string, more: Readonly<Record<string, string>>): Promise<ServiceProcess> =>
  stack.processes.start({ main, env: { ...env, ...more }, ready: { url: `${base}/readyz` } })

/** Sets what every write meets; null lifts it. */
async function setFault(fault: StoreFault | null): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${base}/fault`, { method: 'PUT', headers, body: JSON.stringify({ fault }) })
  expect(response.status).toBe(200)
}

const fired = async (): Promise<FaultyStore['fired']> =>
  (await (await fetch(`${base}/fault`)).json()) as FaultyStore['fired']

/** What the sink says of itself at one time. */
async function look(): Promise<Record<'rows' | 'retries' | 'opened' | 'state' | 'waiting' | 'limit' | 'rss', number>> {
  const exposition = parseExposition(await (await fetch(`${base}/metrics`)).text())
  return {
    rows: sum(exposition, 'plumbline_sink_rows_total'),
    retries: sum(exposition, 'plumbline_sink_retries_total'),
    opened: sum(exposition, 'plumbline_sink_breaker_changes_total', { to: 'open' }),
    state: sum(exposition, 'plumbline_sink_breaker_state'),
    waiting: sum(exposition, 'plumbline_sink_waiting_rows'),
    limit: sum(exposition, 'plumbline_sink_batch_rows_limit'),
    rss: sum(exposition, 'process_resident_memory_bytes'),
  }
}

const readiness = async (): Promise<{ ready: boolean; checks: { store: { detail: string } } }> =>
  (await (await fetch(`${base}/readyz`)).json()) as Awaited<ReturnType<typeof readiness>>

/** Sends some thousand readings a second into clean until it is stopped; resolves with how many they were. */
function startLoad(): { stop(): Promise<number> } {
  let running = true
  let sent = 0
  const done = (async () => {
    for (let seq = 0; running; seq += 2) {
      const records: LoadRecord[] = []
      for (let s = 0; s < SENSORS; s += 1)
        for (const at of [seq, seq + 1]) records.push(recordOf(readingOf(`b${s}`, 1, at, at + 1), stack.readingId))
      await stack.send(records, CLEAN)
      sent += records.length
      await delay(50)
    }
  })()
  return {
    stop: async () => {
      running = false
      await done
      return sent
    },
  }
}

async function counts(file: string): Promise<SensorCount[]> {
  const store = new SqliteStore({ file, access: 'read' })
  try {
    return await store.read((view) => view.countsPerSensor())
  } finally {
    await store.close()
  }
}

const totalOf = (rows: readonly SensorCount[]): number => rows.reduce((total, { count }) => total + count, 0)

/** True once the store is at the end of clean. */
async function caughtUp(file: string): Promise<boolean> {
  const ends = (await stack.admin.offsetRanges(CLEAN)).map(({ end }) => end)
  const store = new SqliteStore({ file, access: 'read' })
  try {
    const progress = await store.read((view) => view.progress())
    return ends.every((end, partition) => {
      const at = progress.find((row) => row.topic === CLEAN && row.partition === partition)
      return (at?.offset ?? 0) >= end
    })
  } finally {
    await store.close()
  }
}

describe('EM-5: a brownout under load', () => {
  const faults: { fault: StoreFault; opens?: boolean }[] = [
    // Slow but alive: it is asked for less at a time, and not cut off.
    { fault: { kind: 'stall', ms: 0.8 * WRITE_TIMEOUT_MS }, opens: false },
    { fault: { kind: 'stall', ms: 5 * WRITE_TIMEOUT_MS }, opens: true },
    { fault: { kind: 'silence' }, opens: true },
    { fault: { kind: 'errors', share: 0.5 }, opens: true },
    // The store takes every batch and nobody hears of it: all is read and written again, and counts once.
    { fault: { kind: 'lost-answer' } },
  ]
  it(
    'loses nothing, holds a bounded number of rows, keeps to its retries, and recovers within ten seconds',
    async () => {
      const file = join(folder, 'brownout.sqlite')
      const sink = await start('test/faults/sink-entry.ts', { SQLITE_FILE: file })
      const load = startLoad()
      loads.push(load)
      await until(async () => (await look()).rows > 5_000, 'rows are stored')
      for (const { fault, opens } of faults) {
        const before = await look()
        const struckBefore = (await fired())[fault.kind]
        const startedMs = performance.now()
        await setFault(fault)
        const during: Awaited<ReturnType<typeof look>>[] = []
        let unready = ''
        while (performance.now() - startedMs < BROWNOUT_MS) {
          during.push(await look())
          const { ready, checks } = await readiness()
          if (!ready) unready = checks.store.detail
          await delay(200)
        }
        await setFault(null)
        const after = await look()
        const seconds = (performance.now() - startedMs) / 1_000
        const endedMs = performance.now()
        const at = JSON.stringify({ fault, before, after })
        expect((await fired())[fault.kind], at).toBeGreaterThan(struckBefore)
        expect(after.retries - before.retries, at).toBeLessThanOrEqual(retriesWithin(RETRIES, seconds))
        expect(Math.max(...during.map(({ waiting }) => waiting)), at).toBeLessThanOrEqual(WAITING_ROWS)
        expect(Math.max(...during.map(({ rss }) => rss)) - before.rss, at).toBeLessThan(GROWTH_BYTES)
        if (opens !== undefined) expect(after.opened > before.opened, at).toBe(opens)
        if (opens) expect(unready).toMatch(DETAIL)
        if (opens === false) expect(Math.min(...during.map(({ limit }) => limit)), at).toBeLessThan(before.limit)
        await until(async () => {
          const { rows, state } = await look()
          return state === 0 && rows > after.rows
        }, 'the breaker is closed and rows are stored again')
        const recoveredMs = performance.now() - endedMs
        expect(recoveredMs, at).toBeLessThan(RECOVERY_MS)
        await until(() => caughtUp(file), 'the store has caught up')
        const caughtUpMs = performance.now() - endedMs
        if (FIGURES !== undefined) {
          const growthMib = Math.round((Math.max(...during.map(({ rss }) => rss)) - before.rss) / 1_048_576)
          const waiting = Math.max(...during.map((seen) => seen.waiting))
          const figures = {
            fault,
            seconds,
            recoveredMs,
            caughtUpMs,
            retries: after.retries - before.retries,
            waiting,
            growthMib,
          }
          appendFileSync(FIGURES, `${JSON.stringify(figures)}\n`)
        }
      }
      const sent = await load.stop()
      await until(() => caughtUp(file), 'the store has all')
      expect(totalOf(await counts(file))).toBe(sent)
      expect((await readiness()).ready).toBe(true)
      expect(await sink.stop(), sink.output()).toBe(0)
    },
    IS_SOAK ? 900_000 : 240_000,
  )
})
