// The pipeline over a network that fails under load, by a seeded script: connections are reset, nothing passes for longer
// than a group session lasts, bytes are late and few. Every client of the broker (the load, refine, the sink) goes by
// the one proxy. Nothing may be lost and nothing counted twice.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { audit } from '../../audit/audit.ts'
import { untilSettled } from '../../audit/settle.ts'
import { loadConfig } from '../../platform/config.ts'
import { drawScript, type FaultKind } from '../fixtures/fault-script.ts'
import { makeLoad } from '../fixtures/load.ts'
import { feed, type Stack, startStack } from '../fixtures/refine.ts'
import { verify } from '../oracle/verify.ts'

const SEED = Number(process.env.FAULT_SEED ?? 1)
const KINDS: readonly FaultKind[] = ['reset', 'stall', 'latency', 'reset', 'bandwidth']
/** Refine's session is 3 s here: of the stalls, 1.5 to 4.5 s long, the longer ones cost it its partitions. */
const SPREAD = { everyBytes: 60_000, forMs: 3_000 }
const SETTLE_MS = 90_000

const generator = xoroshiro128plus(SEED)
const random = (): number => uniformFloat64(generator)
let stack: Stack
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'plumbline-network-'))
  stack = await startStack(2, { random })
})
afterAll(async () => {
  await stack?.stop()
  rmSync(folder, { recursive: true, force: true })
})

it(`EM-3, X-2: resets, stalls, latency and a narrow network under load lose nothing and repeat nothing (FAULT_SEED=${SEED})`, async () => {
  const env = stack.env({
    DATA_DIR: folder,
    SQLITE_FILE: join(folder, 'store.sqlite'),
    SINKS_PORT: '0',
    SINK_SESSION_MS: '3000',
    LOG_LEVEL: 'info',
  })
  const config = loadConfig(env)
  const refine = await stack.startRefine()
  const sink = await stack.processes.start({ main: 'sinks/main.ts', env, ready: { output: '"listening"' } })
  const load = makeLoad({
    seed: SEED,
    sensors: 20,
    readingsPerSensor: 300,
    schemaId: stack.readingId,
    startMs: Date.now() - 600_000,
  })
  const script = drawScript(random, KINDS, SPREAD)
  stack.network!.script(script)
  await feed(stack, load)
  expect(await untilSettled(config, stack.kafka, SETTLE_MS), JSON.stringify(script)).toBe(null)
  stack.network!.expectFired()
  expect((await verify(stack)).problems).toEqual([])
  const report = await audit(config, stack.kafka)
  expect(report.problems).toEqual([])
  expect(report.table.store!.rows).toBe(report.table.store!.expected)
  expect(report.table.store!.rows).toBeGreaterThan(5_000)
  expect([refine.isRunning(), sink.isRunning()]).toEqual([true, true])
})
