// MI-9 on the real pipeline: what is exported of a node equals what an oracle reads out of clean and late, also when the
// export was killed, torn and gone on with, at any step.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parse } from 'csv-parse/sync'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FRAME_BYTES, type Reading, readingType } from '../../platform/codec/reading.ts'
import { ReadingDecoder } from '../../platform/codec/reading-decoder.ts'
import { CLEAN, LATE } from '../../schemas/topics.ts'
import { readingOf, recordOf } from '../../test/fixtures/load.ts'
import { schemasOf, settled, type Stack, startStack } from '../../test/fixtures/refine.ts'
import { readTopic } from '../../test/fixtures/topic-records.ts'
import { ExportFile, readCheckpoint } from './file.ts'
import { planExport, runExport } from './run.ts'
import { NODE as NODE_PATH, ROOT } from '../../deploy/paths.ts'

const NODE = 'N1'
/** Names in which the node's stands, too. */
const OTHERS = ['N10', 'xN1', '=N1']
const START = Date.now() - 3_600_000
const PER_SENSOR = 1_500

let stack: Stack
let folder: string
let expected: string

beforeAll(async () => {
  stack = await startStack(2)
  folder = mkdtempSync(join(tmpdir(), 'plumbline-export-'))
  await stack.startRefine()
  await sendReadings(PER_SENSOR, 0)
  // Seq PER_SENSOR comes after its place was given up.
  await stack.send([one(NODE, 'p0', PER_SENSOR + 1)])
  await settled(stack)
  await stack.send([one(NODE, 'p0', PER_SENSOR)])
  await settled(stack)
  expected = await oracle()
})
afterAll(async () => {
  await stack?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const one = (node: string, sensor: string, seq: number) =>
  recordOf({ ...readingOf(sensor, 1, seq, START + seq), node_id: node, tags: { of: NODE } }, stack.readingId)

/** Readings from `first` on, of the node and of those whose names are like its own. */
async function sendReadings(count: number, first: number): Promise<void> {
  const records = []
  for (let seq = first; seq < first + count; seq += 1) {
    for (const sensor of ['p0', 'p1', 'p2']) records.push(one(NODE, sensor, seq))
    for (const node of OTHERS) records.push(one(node, `${NODE}-${node}`, seq))
  }
  await stack.send(records)
}

/** The export as it must be: by arrival, clean before late, then by partition; each in the order of its log. */
async function oracle(): Promise<string> {
  const found: { arrival: number; late: boolean; partition: number; line: string }[] = []
  for (const [late, topic] of [CLEAN, LATE].entries()) {
    for (const [partition, records] of (await readTopic(stack.kafka, topic)).entries()) {
      for (const { value, arrival } of records) {
        const reading = readingType.fromBuffer(value!.subarray(FRAME_BYTES)) as Reading
        if (reading.node_id !== NODE) continue
        const line = JSON.stringify({ ...reading, arrival, late: late === 1 })
        found.push({ arrival, late: late === 1, partition, line })
      }
    }
  }
  // Sorting is stable: what is equal stays in the order of the log.
  found.sort((a, b) => a.arrival - b.arrival || Number(a.late) - Number(b.late) || a.partition - b.partition)
  return found.map(({ line }) => `${line}\n`).join('')
}

function startExport(...args: string[]): ChildProcess {
  const own = { PATH: process.env.PATH, NODE_COMPILE_CACHE: `${ROOT}node_modules/.cache/compile` }
  return spawn(NODE_PATH, [`${ROOT}cli/main.ts`, 'export', '--node', NODE, ...args], {
    env: { ...own, ...stack.env({ DATA_DIR: folder }) },
  })
}

async function exported(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = startExport(...args)
  let out = ''
  let err = ''
  child.stdout!.on('data', (bytes: Buffer) => (out += bytes.toString()))
  child.stderr!.on('data', (bytes: Buffer) => (err += bytes.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, out, err }
}

/** Exports in this process until it has written so many chunks, and then breaks off as a killed one does. */
async function exportAndDie(path: string, chunks: number): Promise<void> {
  const subject = { node: NODE, format: 'jsonl', since_ms: null } as const
  const unlock = ExportFile.lock(path)
  const former = readCheckpoint(path, true, subject)
  const places = await planExport(stack.admin, former?.places ?? [], former?.complete === false)
  const file = await ExportFile.open(path, subject, former, places, unlock)
  const reader = await stack.kafka.rangeReader()
  let written = 0
  const dying = runExport({
    ...{ reader, nodeId: NODE, format: 'jsonl', sinceMs: null, places, signal: new AbortController().signal },
    decoder: new ReadingDecoder(schemasOf(stack)),
    onRead: () => undefined,
    onUnreadable: (what) => expect.fail(what),
    sink: {
      write: async (text, lines) => {
        written += 1
        if (written > chunks) throw new Error('dies')
        await file.write(text, lines)
      },
      reached: (reached, state) => file.reached(reached, state),
    },
  })
  await expect(dying).rejects.toThrow('dies')
  await reader.close()
  await file.close()
  appendFileSync(path, '{"tenant_id":"torn')
}

describe('plumbline export', () => {
  test('MI-9: writes every reading of the node and no other’s, late ones marked, as an oracle reads them', async () => {
    const path = join(folder, 'whole.jsonl')
    const { code, err } = await exported('--out', path)
    expect([code, err]).toEqual([0, expect.stringContaining('4,502 lines of node N1')])
    expect(readFileSync(path, 'utf8')).toBe(expected)
    expect(expected.match(/"late":true/g)).toHaveLength(1)
    const again = await exported('--out', path)
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('--resume')])
    expect(readFileSync(path, 'utf8')).toBe(expected)
  })

  test('MI-9: killed at several steps, torn and gone on with, the file is the same to the byte', async () => {
    const path = join(folder, 'dying.jsonl')
    for (const chunks of [0, 1, 3, 0, 7]) await exportAndDie(path, chunks)
    const killed = startExport('--out', path, '--resume')
    const before = statSync(path).size
    while (killed.exitCode === null && statSync(path).size <= before) await delay(2)
    killed.kill('SIGKILL')
    if (killed.exitCode === null && killed.signalCode === null) await once(killed, 'close')
    expect((await exported('--out', path, '--resume')).code).toBe(0)
    expect(readFileSync(path, 'utf8')).toBe(expected)
  })

  test('MI-9: CSV on standard output holds the same, and --since leaves out what is before', async () => {
    const since = START + 1_000
    const { out } = await exported('--format', 'csv', '--since', String(since))
    const rows = parse(out, { columns: true }) as Record<string, string>[]
    const wanted = expected
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Reading)
      .filter(({ ts }) => ts >= since)
    expect(rows.map(({ sensor_id, seq, late }) => `${sensor_id} ${seq} ${late}`)).toEqual(
      wanted.map(({ sensor_id, seq, late }) => `${sensor_id} ${String(seq)} ${String(late)}`),
    )
    expect(rows[0]).toMatchObject({ temperature_c: '20', power_w: '', tags: '{"of":"N1"}' })
  })

  test('MI-9: continues later with what has come since; another node, a shorter file and a missing checkpoint are refused', async () => {
    const path = join(folder, 'whole.jsonl')
    await sendReadings(20, PER_SENSOR + 2)
    await settled(stack)
    const [grown, other, none] = await Promise.all([
      exported('--out', path, '--resume'),
      exported('--out', join(folder, 'dying.jsonl'), '--resume', '--format', 'csv'),
      exported('--out', join(folder, 'none', 'x.jsonl'), '--resume', '--node', 'nobody'),
    ])
    expect(grown.code).toBe(0)
    const text = readFileSync(path, 'utf8')
    expect(text.startsWith(expected)).toBe(true)
    expect(text).toBe(await oracle())
    expect([other.code, other.err]).toEqual([1, expect.stringContaining('was begun with format "jsonl", not "csv"')])
    expect([none.code, none.err]).toEqual([1, expect.stringContaining('nothing is kept of node "nobody"')])
    truncateSync(path, 100)
    expect(() => readCheckpoint(path, true, { node: NODE, format: 'jsonl' })).toThrow('somebody has changed it')
    rmSync(`${path}.checkpoint`)
    expect(() => readCheckpoint(path, true, { node: NODE, format: 'jsonl' })).toThrow('has no')
    expect(existsSync(`${path}.checkpoint`)).toBe(false)
  })
})
