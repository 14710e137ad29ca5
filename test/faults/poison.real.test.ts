// Poison from end to end, on a real broker with every real part: readings go by refine into a real SQLite that refuses
// some of them, as a table with a constraint of its own would. They must be dead letters, all and only they, and once the table is
// mended `plumbline dlq replay` must bring them in. `plumbline audit` is asked at every step.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { text } from 'node:stream/consumers'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AuditReport } from '../../audit/core/report.ts'
import { NODE, ROOT } from '../../deploy/paths.ts'
import { parseExposition, sum } from '../../deploy/stack/core/exposition.ts'
import { freePorts } from '../../platform/free-port.ts'
import { SqliteStore } from '../../platform/store/sqlite/store.ts'
import { CLEAN, DLQ } from '../../schemas/topics.ts'
import { type LoadRecord, readingOf, recordOf } from '../fixtures/load.ts'
import type { ServiceProcess } from '../fixtures/processes.ts'
import { type Stack, startStack } from '../fixtures/refine.ts'
import { readTopic } from '../fixtures/topic-records.ts'

const ROWS = 100_000
const POISON_ROWS = 1_000
const SENSORS = 100
const START_MS = Date.now() - 600_000
/** By a stride that is prime to the rows: at irregular places, and every sensor has some. */
const STRIDE = 7_919
const isPoison = (i: number): boolean => (i * STRIDE) % ROWS < POISON_ROWS
const REFUSED = `((NEW.ts - ${START_MS}) * ${STRIDE}) % ${ROWS} < ${POISON_ROWS}`

let stack: Stack
let folder: string
let file: string
let base: string
let env: Record<string, string>

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'plumbline-poison-'))
  file = join(folder, 'store.sqlite')
  stack = await startStack(3)
  const [port] = await freePorts(1)
  base = `http://127.0.0.1:${port}`
  env = stack.env({ DATA_DIR: folder, SQLITE_FILE: file, SINKS_PORT: String(port) })
})
afterAll(async () => {
  await stack?.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function plumbline(...args: string[]): Promise<string> {
  const child = spawn(NODE, [`${ROOT}cli/main.ts`, ...args], { env: { PATH: process.env.PATH, ...env } })
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  expect([code, err]).toEqual([0, expect.anything()])
  return out
}

const audit = async (): Promise<AuditReport> =>
  JSON.parse(await plumbline('audit', '--wait', '2m', '--json')) as AuditReport

const startSink = (): Promise<ServiceProcess> =>
  stack.processes.start({ main: 'sinks/main.ts', env, ready: { url: `${base}/readyz` } })

function inStore<T>(work: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(file, { timeout: 5_000 })
  try {
    return work(db)
  } finally {
    db.close()
  }
}

const rowsIn = (where: string): number =>
  inStore((db) => Number(db.prepare(`SELECT count(*) AS n FROM readings NEW WHERE ${where}`).get()!.n))

describe('X-3: 1,000 poison rows among 100,000', () => {
  const poison: string[] = []
  let sink: ServiceProcess

  it('are dead letters, all and only they, byte for byte; the rest is stored and the audit balances', async () => {
    const store = new SqliteStore({ file, access: 'write' })
    await store.migrate()
    await store.close()
    inStore((db) =>
      db.exec(`CREATE TRIGGER refuse BEFORE INSERT ON readings WHEN ${REFUSED}
        BEGIN SELECT RAISE(ABORT, 'refused on purpose'); END`),
    )
    const records: LoadRecord[] = []
    for (let i = 0; i < ROWS; i += 1) {
      const reading = readingOf(`p${i % SENSORS}`, 1, Math.floor(i / SENSORS), START_MS + i)
      const record = recordOf(reading, stack.readingId)
      records.push(record)
      if (isPoison(i)) poison.push(`${record.key!.toString()} ${record.value!.toString('hex')}`)
    }
    expect(poison.length).toBe(POISON_ROWS)
    await stack.send(records)
    await stack.startRefine()
    sink = await startSink()
    const report = await audit()
    expect(report.problems).toEqual([])
    expect(report.table).toMatchObject({
      ...{ raw: ROWS, clean: ROWS, late: 0, deadLettered: 0, inFlight: { toRefine: 0, toStore: 0 } },
      letters: { open: POISON_ROWS, replayed: 0, dropped: 0 },
      store: { expected: ROWS - POISON_ROWS, refused: POISON_ROWS, rows: ROWS - POISON_ROWS },
    })
    expect([rowsIn('true'), rowsIn(REFUSED)]).toEqual([ROWS - POISON_ROWS, 0])
    const dead = (await readTopic(stack.kafka, DLQ)).flat()
    expect(dead.map(({ key, value }) => `${key!.toString()} ${value!.toString('hex')}`).sort()).toEqual(poison.sort())
    for (const { headers } of dead) {
      expect(headers['__connect.errors.topic']).toBe(CLEAN)
      expect(headers['__connect.errors.stage']).toBe('TASK_PUT')
      expect(headers['__connect.errors.exception.message']).toContain('refused on purpose')
    }
    const exposition = parseExposition(await (await fetch(`${base}/metrics`)).text())
    expect(sum(exposition, 'plumbline_sink_dead_letters_total')).toBe(POISON_ROWS)
    // Poison is no outage.
    expect(sum(exposition, 'plumbline_sink_retries_total')).toBe(0)
    expect(sum(exposition, 'plumbline_sink_breaker_changes_total', { to: 'open' })).toBe(0)
  })

  it('come in by a replay once the store is mended, and a second replay does nothing', async () => {
    expect(await sink.stop(), sink.output()).toBe(0)
    inStore((db) => db.exec('DROP TRIGGER refuse'))
    sink = await startSink()
    expect(await plumbline('dlq', 'replay')).toContain('1,000 replayed, 1,000 of them on to telemetry.late')
    expect(await plumbline('dlq', 'replay')).toContain('0 replayed')
    const report = await audit()
    expect(report.problems).toEqual([])
    expect(report.table).toMatchObject({
      ...{ raw: ROWS + POISON_ROWS, clean: ROWS, late: POISON_ROWS },
      letters: { open: 0, replayed: POISON_ROWS, dropped: 0 },
      store: { expected: ROWS, refused: 0, rows: ROWS },
    })
    expect([rowsIn('true'), rowsIn(REFUSED)]).toEqual([ROWS, POISON_ROWS])
    expect(inStore((db) => Number(db.prepare('SELECT sum(superseded) AS n FROM sensors').get()!.n))).toBe(0)
    expect(await sink.stop(), sink.output()).toBe(0)
  })
})
