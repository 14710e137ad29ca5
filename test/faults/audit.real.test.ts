// The audit on real topics: it balances where everything is right, and it must name what is wrong when records are put
// into the topics, or taken from the books, behind refine's back.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { audit } from '../../audit/audit.ts'
import type { AuditReport } from '../../audit/core/report.ts'
import { loadConfig } from '../../platform/config.ts'
import { CLEAN } from '../../schemas/topics.ts'
import { makeLoad, readingOf, recordOf } from '../fixtures/load.ts'
import { settled, type Stack, startStack } from '../fixtures/refine.ts'
import { verify } from '../oracle/verify.ts'

const SEED = Number(process.env.FAULT_SEED ?? 1)

let stack: Stack
let dataDir: string

const run = (): Promise<AuditReport> =>
  audit(loadConfig(stack.env({ DATA_DIR: dataDir, SQLITE_FILE: join(dataDir, 'none.sqlite') })), stack.kafka)
const codes = (report: AuditReport): string[] => [...new Set(report.problems.map(({ code }) => code))].sort()
/** Readings that the problems name. */
const namedReadings = (report: AuditReport): string[] =>
  report.problems.flatMap(({ message }) => message.match(/\S+\/\S+ epoch \d+ seq [\d–]+/g) ?? [])

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'plumbline-audit-'))
  stack = await startStack(2)
})
afterAll(async () => {
  await stack?.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

describe(`X-2: audit over raw, clean, late and dead letters (FAULT_SEED=${SEED})`, () => {
  const startMs = Date.now() - 600_000
  const send = (prefix: string, seed: number): Promise<void> =>
    stack.send(makeLoad({ seed, sensors: 10, readingsPerSensor: 300, schemaId: stack.readingId, startMs, prefix }))

  it('counts everything as in flight while refine has not run', async () => {
    await send('a', SEED)
    const report = await run()
    expect(report.balanced).toBe(true)
    expect(report.table.inFlight.toRefine).toBe(report.table.raw)
    expect(report.table.raw).toBeGreaterThan(2_500)
  })

  it('balances once refine is through, with the counts of the oracle and the gaps by name', async () => {
    await stack.startRefine()
    await settled(stack)
    const { problems, counts } = await verify(stack)
    expect(problems).toEqual([])
    const report = await run()
    expect(report.problems).toEqual([])
    const { raw, clean, late, deadLettered, duplicate, control, inFlight } = report.table
    expect({ raw, clean, late, deadLetters: deadLettered, duplicates: duplicate, controls: control }).toEqual({
      ...counts,
      extents: undefined,
    })
    expect(inFlight).toEqual({ toRaw: 0, toRefine: 0, toStore: 0 })
    expect(report.gapCount).toBeGreaterThan(0)
  })

  it('faults 7: names a record that somebody else has put into clean and no other, at once and after refine has gone on', async () => {
    const foreign = readingOf('foreign', 1, 0, startMs)
    await stack.send([recordOf(foreign, stack.readingId)], CLEAN)
    const before = await run()
    expect(codes(before)).toEqual(['BEYOND_LEDGER', 'IN_NO_EXTENT', 'NOT_IN_RAW'])
    expect(namedReadings(before)).toEqual(['t1/foreign epoch 1 seq 0'])
    await send('b', SEED + 1)
    await settled(stack)
    const report = await run()
    expect(report.balanced).toBe(false)
    expect(codes(report)).toContain('NOT_IN_RAW')
    expect(namedReadings(report)).toEqual(['t1/foreign epoch 1 seq 0'])
  })
})
