// The whole pipeline, producers to store, while each of its processes and the broker are killed under load. What proves
// that nothing was lost is the audit as an operator runs it: `plumbline audit --json`. SOAK=1 (`make soak`) lets more
// load flow between the faults.
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AuditReport } from '../../audit/core/report.ts'
import { freePorts } from '../../platform/free-port.ts'
import { readMetric, until } from '../fixtures/metric.ts'
import type { ServiceProcess } from '../fixtures/processes.ts'
import { type Stack, startStack } from '../fixtures/refine.ts'
import { verify } from '../oracle/verify.ts'
import { fleetArguments, fleetWith } from '../../producers/nodes/options.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const NODE = join(ROOT, 'node_modules/node/bin/node')
const IS_SOAK = process.env.SOAK === '1'
/** Longer than every session, transaction and request may last. */
const BROKER_AWAY_MS = 60_000
/** What a process of the small fleet may grow by while nothing can be sent, bytes. */
const GROWTH_BYTES = 100 * 1_048_576
/** Load between two faults. */
const FLOW_MS = IS_SOAK ? 30_000 : 1_500
const FLEET = fleetArguments(fleetWith({ nodes: 4, sensors: 40, rateHz: 10, seed: 7 }))

let stack: Stack
let dataDir: string
let env: Record<string, string>

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'plumbline-pipeline-'))
  stack = await startStack(3)
  const [producers, sinks] = await freePorts(2)
  env = stack.env({
    DATA_DIR: dataDir,
    SQLITE_FILE: join(dataDir, 'store.sqlite'),
    PRODUCERS_PORT: String(producers),
    SINKS_PORT: String(sinks),
    SINK_SESSION_MS: '3000',
  })
})
afterAll(async () => {
  await stack?.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

const startProducers = (): Promise<ServiceProcess> =>
  stack.processes.start({
    main: 'producers/main.ts',
    args: FLEET,
    env,
    ready: { url: `http://127.0.0.1:${env.PRODUCERS_PORT}/readyz` },
  })
const startSink = (): Promise<ServiceProcess> =>
  stack.processes.start({ main: 'sinks/main.ts', env, ready: { url: `http://127.0.0.1:${env.SINKS_PORT}/readyz` } })

const ofProducers = (name: string): Promise<number> => readMetric(`http://127.0.0.1:${env.PRODUCERS_PORT}`, name)

/** Of producers and sink. */
const residentBytes = (): Promise<number[]> =>
  Promise.all(
    [env.PRODUCERS_PORT, env.SINKS_PORT].map((port) =>
      readMetric(`http://127.0.0.1:${port}`, 'process_resident_memory_bytes'),
    ),
  )

async function audit(...args: string[]): Promise<AuditReport> {
  const command = run(NODE, ['cli/main.ts', 'audit', '--json', ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    maxBuffer: 16 * 1_048_576,
  })
  // Exit code 1 says "not balanced"; the report tells why.
  const { stdout } = await command.catch((error: { stdout: string; stderr: string }) =>
    error.stdout === '' ? Promise.reject(new Error(error.stderr)) : error,
  )
  return JSON.parse(stdout) as AuditReport
}

describe('X-2 MI-2 EM-3: the whole pipeline under kills', () => {
  it(
    'balances while everything runs, after every process was killed, and after a minute without the broker (MI-3)',
    async () => {
      const refine = { service: await stack.startRefine(), start: () => stack.startRefine() }
      const sink = { service: await startSink(), start: startSink }
      const producers = { service: await startProducers(), start: startProducers }
      await delay(FLOW_MS)
      const live = await audit()
      expect(live.problems).toEqual([])
      expect(live.table.raw).toBeGreaterThan(0)
      for (const part of [producers, refine, sink]) {
        await part.service.kill()
        await delay(FLOW_MS)
        part.service = await part.start()
        await delay(FLOW_MS)
      }
      const memory = await residentBytes()
      const accepted = await ofProducers('plumbline_producer_accepted_total')
      await stack.broker.kill()
      await delay(BROKER_AWAY_MS)
      expect(await ofProducers('plumbline_producer_degraded_nodes')).toBe(4)
      expect(await ofProducers('plumbline_producer_accepted_total')).toBeGreaterThan(accepted + 300 * 60)
      const grown = (await residentBytes()).map((bytes, i) => bytes - memory[i])
      for (const bytes of grown) expect(bytes).toBeLessThan(GROWTH_BYTES)
      await stack.broker.restart()
      await until(async () => (await ofProducers('plumbline_producer_degraded_nodes')) === 0, 'no node is degraded')
      await delay(FLOW_MS)
      expect(await producers.service.stop(), producers.service.output()).toBe(0)
      const report = await audit('--wait', '90s')
      expect(report.problems).toEqual([])
      expect(report.notes).toEqual([])
      expect(report.balanced).toBe(true)
      const { table } = report
      expect(table.inFlight).toEqual({ toRaw: 0, toRefine: 0, toStore: 0 })
      expect(table.sent!.accepted).toBeGreaterThan(400 * 10)
      expect(table.store).toEqual({ expected: table.store!.rows, refused: 0, rows: table.store!.rows })
      expect(table.store!.rows).toBeGreaterThan(400 * 10)
      expect(report.gapCount, 'every log is here, so nothing that it numbered may be a gap').toBe(0)
      expect((await verify(stack)).problems).toEqual([])
    },
    IS_SOAK ? 900_000 : 300_000,
  )

  it('names what the store lacks', async () => {
    const logs = join(dataDir, 'wal', 'node')
    expect(existsSync(logs) && readdirSync(logs).length).toBe(4)
    await stack.processes.stopAll()
    await stack.startRegistry()
    const db = new DatabaseSync(env.SQLITE_FILE)
    db.exec('DELETE FROM readings WHERE ts = (SELECT MIN(ts) FROM readings)')
    db.close()
    const report = await audit()
    expect(report.balanced).toBe(false)
    expect(report.problems.map(({ code }) => code)).toContain('NOT_IN_STORE')
    expect(report.problems.map(({ message }) => message).join()).toMatch(
      /the store lacks \d+ of \d+ readings of \S+\/\S+/,
    )
  })
})
