// Damage to whole topics, groups and the broker, one after another on one pipeline that has run and come to rest. However
// little is left to read, the audit ends with a report, the exit code says that something is wrong, and `--wait` keeps to
// its bound. It names what is gone, and accuses nothing of what is left.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AuditReport } from '../../audit/core/report.ts'
import { untilSettled } from '../../audit/settle.ts'
import { CLEAN, DLQ, LATE, ORDER, RAW } from '../../schemas/topics.ts'
import { Planted } from '../fixtures/planted.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const NODE = join(ROOT, 'node_modules/node/bin/node')
const PARTITIONS = 2

let planted: Planted
beforeAll(async () => {
  planted = await Planted.start(PARTITIONS)
})
afterAll(() => planted?.stop())

/** As an operator runs it. */
async function command(...args: string[]): Promise<{ code: number; report: AuditReport; text: string }> {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...planted.env() }
  const options = { cwd: ROOT, env, maxBuffer: 16 * 1_048_576 }
  const ended = await run(NODE, ['cli/main.ts', 'audit', '--json', ...args], options).then(
    ({ stdout }) => ({ code: 0, stdout, stderr: '' }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  )
  if (ended.stdout === '') throw new Error(`no report: ${ended.stderr}`)
  const report = JSON.parse(ended.stdout) as AuditReport
  return { code: ended.code, report, text: textOf(report) }
}
const textOf = ({ problems, notes }: AuditReport): string =>
  [...problems.map(({ code, message }) => `${code}: ${message}`), ...notes].join('\n')
const codesOf = ({ problems }: AuditReport): string[] => [...new Set(problems.map(({ code }) => code))].sort()

// In this order: each leaves less.
describe('X-2, faults 2, 4, 5: what is gone is named, in a report', () => {
  it('the sound pipeline: exit code 0, settled at once', async () => {
    const { code, report } = await command('--wait', '30s', '--deep')
    expect(textOf(report)).toBe('')
    expect(code).toBe(0)
  })

  it('the order has a record twice', async () => {
    const [{ key, value }] = await planted.records(ORDER, 0)
    await planted.append(ORDER, 0, [{ key, value }])
    const report = await planted.audit()
    expect(codesOf(report)).toEqual(['ORDER_DIFFERS', 'ORDER_INCONSISTENT'])
    expect(textOf(report)).toMatch(/the order record at offset \d+ begins again at sequence 0/)
  })

  it('the beginning of the order is removed although its extents are there', async () => {
    await planted.remove(ORDER, 0, 2)
    const report = await planted.audit()
    expect(textOf(report)).toMatch(
      /ORDER_DIFFERS: the order lacks the extent of \d+ records from offset 0 of telemetry\.clean\/\d/,
    )
  })

  it('the order is removed entirely', async () => {
    await planted.remove(ORDER, 0, -1)
    const report = await planted.audit()
    expect(codesOf(report)).toEqual(['ORDER_DIFFERS'])
    expect(textOf(report)).toMatch(/the order lacks \d+ extents of \d+ records from offset 0 of telemetry\.clean\/0 on/)
    expect(textOf(report)).toMatch(/telemetry\.clean\/1 on/)
  })

  it('the sequencer’s offsets are deleted', async () => {
    const [{ value }] = await planted.records(RAW, 0)
    await planted.append(ORDER, 0, [{ key: null, value }])
    await planted.admin({ deleteGroup: 'sequencer' })
    const { code, text } = await command()
    expect(code).toBe(1)
    expect(text).toMatch(/UNREADABLE: telemetry\.order\/0 offset \d+ is not a valid record/)
  })

  it('the order is deleted', async () => {
    await planted.admin({ deleteTopic: ORDER })
    const report = await planted.audit()
    expect(codesOf(report)).toEqual(['TOPIC_MISSING'])
    expect(textOf(report)).toContain('there is no topic telemetry.order, although telemetry.extents has records')
  })

  it('faults 5: refine’s offsets are deleted: said of every partition, and no record is accused', async () => {
    await planted.admin({ deleteGroup: 'refine' })
    const report = await planted.audit()
    expect(codesOf(report)).toEqual(['OFFSET_MISSING', 'TOPIC_MISSING'])
    for (let partition = 0; partition < PARTITIONS; partition += 1)
      expect(textOf(report)).toContain(`OFFSET_MISSING: refine has no committed offset for telemetry.raw/${partition}`)
    expect(report.table.clean).toBe(PARTITIONS * 209)
  })

  it('faults 4: raw alone has more partitions', async () => {
    await planted.admin({ grow: { topic: RAW, partitions: PARTITIONS + 1 } })
    await planted.append(RAW, PARTITIONS, [planted.record('grown', 0)])
    const report = await planted.audit()
    expect(codesOf(report)).toEqual(['OFFSET_MISSING', 'PARTITIONS_DIFFER', 'TOPIC_MISSING'])
    expect(textOf(report)).toContain('telemetry.raw has 3 partitions, telemetry.clean has 2')
    expect(report.table.inFlight.toRefine).toBeGreaterThan(0)
  })

  it('the dead letters are deleted', async () => {
    await planted.admin({ deleteTopic: DLQ })
    const report = await planted.audit()
    expect(textOf(report)).toContain('there is no topic telemetry.dlq')
    expect(codesOf(report)).not.toContain('STORE_DIFFERS')
  })

  it('late and clean are deleted: the store is not accused of having what they had', async () => {
    await planted.admin({ deleteTopic: LATE })
    const withoutLate = await planted.audit()
    expect(textOf(withoutLate)).toContain('there is no topic telemetry.late')
    await planted.admin({ deleteTopic: CLEAN })
    const report = await planted.audit()
    expect(textOf(report)).toContain('there is no topic telemetry.clean')
    for (const one of [withoutLate, report]) {
      expect(codesOf(one).filter((code) => code.startsWith('STORE'))).toEqual([])
      expect(codesOf(one)).not.toContain('NOT_IN_STORE')
    }
  })

  it('raw is deleted, and --wait ends with a report', async () => {
    await planted.admin({ deleteTopic: RAW })
    const { code, text } = await command('--wait', '1s')
    expect(code).toBe(1)
    expect(text).toContain('there is no topic telemetry.raw')
    expect(text).toContain('still in flight after the wait')
  })

  it('the broker is frozen: the wait keeps to its bound, and says why', async () => {
    await planted.stack.broker.freeze()
    // Nothing ever answers: without a bound of its own this would not end.
    expect(await untilSettled(planted.config(), planted.stack.kafka, 2_000)).toMatch(/./)
    await planted.stack.broker.thaw()
  }, 30_000)

  it('the broker is gone', async () => {
    await planted.stack.broker.kill()
    const { code, text } = await command('--wait', '1s')
    expect(code).toBe(1)
    expect(text).toMatch(/BROKER_UNAVAILABLE: Kafka at \S+ cannot be read/)
  })
})
