// Refine is killed by SIGKILL at every step of the commit protocol, each time under load; what the topics hold afterwards
// must be what the oracle computes from raw. Another seed: FAULT_SEED=….
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeLoad } from '../fixtures/load.ts'
import { QUICK, settled, type Stack, startStack } from '../fixtures/refine.ts'
import { verify } from '../oracle/verify.ts'

const SEED = Number(process.env.FAULT_SEED ?? 1)
const STEPS = ['begun', 'outputs-sent', 'extent-sent', 'snapshot-sent', 'offset-sent', 'committed'] as const
/** Steps passed before the crash: the first commit of a new partition has no outputs, so several are needed. */
const CRASH_AFTER = 5
const SLICE_RECORDS = 40
/** Some transactions apart, so that the crash comes while records flow. */
const SLICE_PAUSE_MS = 60
const KILLED = 128 + 9
const STARTED = 'refine starts'

let stack: Stack

beforeAll(async () => {
  stack = await startStack(3)
})
afterAll(() => stack?.stop())

describe(`refine killed at each step of its commit protocol (FAULT_SEED=${SEED})`, () => {
  const startMs = Date.now() - 600_000

  it.each(['begun', 'snapshot-sent', 'offset-sent'])(
    'dies at "%s" of the first transaction of a partition, which leaves nothing but an aborted snapshot',
    async (step) => {
      const entry = await stack.processes.start({
        main: 'test/faults/refine-entry.ts',
        env: stack.env({ ...QUICK, CRASH_STEP: step, CRASH_AFTER: '0' }),
        ready: { output: STARTED },
      })
      expect(await entry.exited, entry.output()).toBe(KILLED)
    },
  )

  it.each(STEPS)('dies at "%s"', async (step) => {
    const seed = SEED * 100 + STEPS.indexOf(step)
    const records = makeLoad({
      seed,
      sensors: 12,
      readingsPerSensor: 120,
      schemaId: stack.readingId,
      startMs,
      prefix: `${step}-`,
    })
    const entry = await stack.processes.start({
      main: 'test/faults/refine-entry.ts',
      env: stack.env({ ...QUICK, CRASH_STEP: step, CRASH_AFTER: String(CRASH_AFTER) }),
      ready: { output: 'owned and restored' },
    })
    for (let from = 0; from < records.length && entry.isRunning(); from += SLICE_RECORDS) {
      await stack.send(records.slice(from, from + SLICE_RECORDS))
      await delay(SLICE_PAUSE_MS)
    }
    expect(entry.isRunning(), 'the scripted crash must have come').toBe(false)
    expect(await entry.exited).toBe(KILLED)
  })

  it('EM-2 EM-3 X-2: nothing is lost, nothing is twice, the extents cover clean and the ledger balances', async () => {
    const refine = await stack.startRefine()
    await settled(stack)
    const { problems, counts } = await verify(stack)
    expect(problems).toEqual([])
    for (const kind of ['clean', 'late', 'deadLetters', 'duplicates', 'controls'] as const)
      expect(counts[kind], kind).toBeGreaterThan(0)
    expect(await refine.stop()).toBe(0)
  })
})
