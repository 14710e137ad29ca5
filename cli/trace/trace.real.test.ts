// where one reading went, on the real pipeline, for every fate that a reading can have.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NODE, ROOT } from '../../deploy/paths.ts'
import { freePorts } from '../../platform/free-port.ts'
import { encodeFramed, readingType } from '../../platform/codec/reading.ts'
import { schemaText } from '../../schemas/load.ts'
import { DLQ, RAW, subjectOf } from '../../schemas/topics.ts'
import { type LoadRecord, readingOf, recordOf } from '../../test/fixtures/load.ts'
import type { ServiceProcess } from '../../test/fixtures/processes.ts'
import { settled, type Stack, startStack } from '../../test/fixtures/refine.ts'
import { readTopic } from '../../test/fixtures/topic-records.ts'

const PARTITIONS = 2
const EPOCH = 1_000
const NOW = Date.now() - 3_600_000

let stack: Stack
let refine: ServiceProcess
let dataDir: string
const env = (): Record<string, string> =>
  stack.env({ DATA_DIR: dataDir, SQLITE_FILE: join(dataDir, 'store.sqlite'), LOG_LEVEL: 'warn' })

interface Json {
  readonly fate: string
  readonly sensor_id: string | null
  readonly ts: number | null
  readonly epoch: number | null
  readonly seq: number | null
  readonly steps: readonly {
    step: string
    found: boolean
    where: string | null
    time_ms: number | null
    what: string
  }[]
}

async function run(args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(NODE, [`${ROOT}cli/main.ts`, ...args], { env: { PATH: process.env.PATH, ...env() } })
  let [out, err] = ['', '']
  child.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()))
  child.stderr.on('data', (bytes: Buffer) => (err += bytes.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, out, err }
}

async function trace(...args: string[]): Promise<Json> {
  const { out, err } = await run(['trace', ...args, '--json'])
  expect(err).toBe('')
  return JSON.parse(out) as Json
}

/** The sink and the sequencer come after refine: asked again until they have it. */
async function traceUntil(isThrough: (json: Json) => boolean, ...args: string[]): Promise<Json> {
  for (const deadline = performance.now() + 60_000; ; await delay(200)) {
    const json = await trace(...args)
    if (isThrough(json) || performance.now() > deadline) return json
  }
}

const stepOf = (json: Json, step: string): Json['steps'][number] | undefined =>
  json.steps.find((each) => each.step === step)
const hasRow = (json: Json): boolean => stepOf(json, 'row')?.found === true && stepOf(json, 'order')?.found === true
const record = (sensor: string, epoch: number, seq: number, ts: number, value = 20): LoadRecord =>
  recordOf(readingOf(sensor, epoch, seq, ts, { temperature_c: value }), stack.readingId)

/** Partition:offset of the dead letter with this key. */
async function letterOf(key: string): Promise<string> {
  const places = (await readTopic(stack.kafka, DLQ)).flatMap((records, partition) =>
    records.flatMap((letter) => (letter.key?.toString() === key ? [`${partition}:${letter.offset}`] : [])),
  )
  expect(places).toHaveLength(1)
  return places[0]
}

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'plumbline-trace-'))
  stack = await startStack(PARTITIONS)
  refine = await stack.startRefine()
  const [port] = await freePorts(1)
  await stack.processes.start({
    main: 'sinks/main.ts',
    env: { ...env(), SINKS_PORT: String(port) },
    ready: { url: `http://127.0.0.1:${port}/readyz` },
  })
  // Others around what is asked for.
  await stack.send(
    Array.from({ length: 3_000 }, (_, i) => record(`other-${i % 30}`, EPOCH, Math.floor(i / 30), NOW + i)),
  )
})
afterAll(async () => {
  await stack?.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

describe('X-6: plumbline trace', () => {
  test('an accepted reading: raw, clean, extent, global sequence and row, in the order of their times', async () => {
    await stack.send(Array.from({ length: 10 }, (_, i) => record('clean', EPOCH, i, NOW + i * 1_000, i)))
    const ts = String(NOW + 4_000)
    const json = await traceUntil(hasRow, 'clean', ts)
    expect(json).toMatchObject({ fate: 'clean', sensor_id: 'clean', epoch: EPOCH, seq: 4, ts: NOW + 4_000 })
    expect(json.steps.map(({ step, found }) => [step, found])).toEqual(
      expect.arrayContaining([
        ['wal', false],
        ['raw', true],
        ['clean', true],
        ['extent', true],
        ['order', true],
        ['row', true],
      ]),
    )
    expect(stepOf(json, 'row')?.what).toContain('temperature_c=4')
    const times = json.steps.flatMap(({ time_ms }) => (time_ms === null ? [] : [time_ms]))
    expect(times).toEqual([...times].sort((a, b) => a - b))
    // By its number, by its sequence, by ISO 8601, and for a person: the same.
    const sequence = /\d+$/.exec(stepOf(json, 'order')!.what)![0]
    for (const args of [
      ['clean', '--seq', `${EPOCH}:4`],
      ['--global', sequence],
      ['clean', new Date(NOW + 4_000).toISOString()],
    ])
      expect(await trace(...args)).toMatchObject({ ...json, steps: expect.anything() })
    const { out } = await run(['trace', 'clean', ts])
    expect(out).toMatch(/raw +telemetry\.raw\/\d@\d+ .*accepted/)
    expect(out).toContain('fate: clean')
  })

  test('a duplicate names what it repeats', async () => {
    await stack.send([
      record('twice', EPOCH, 0, NOW),
      record('twice', EPOCH, 0, NOW),
      record('twice', EPOCH, 1, NOW + 1),
    ])
    const json = await traceUntil(hasRow, 'twice', String(NOW))
    const raws = json.steps.filter(({ step }) => step === 'raw')
    expect(raws).toHaveLength(2)
    expect(raws[1].what).toBe(`a duplicate of ${raws[0].where}`)
    expect(json.fate).toBe('clean')
  })

  test('a late reading is in late, with its reason', async () => {
    await stack.send([record('late', EPOCH, 0, NOW), record('late', EPOCH, 2, NOW + 2)])
    await settled(stack)
    await stack.send([record('late', EPOCH, 1, NOW + 1)])
    await settled(stack)
    const json = await traceUntil((found) => stepOf(found, 'row')?.found === true, 'late', String(NOW + 1))
    expect(json.fate).toBe('late')
    expect(stepOf(json, 'late')).toMatchObject({ found: true, what: 'late' })
    expect(stepOf(json, 'row')?.what).toContain('late@')
  })

  test('a correction: both raw records, and the row that has the last value', async () => {
    await stack.send([record('fixed', 0, 0, NOW, 1)])
    await settled(stack)
    await stack.send([record('fixed', 0, 0, NOW, 2)])
    await settled(stack)
    const json = await traceUntil((found) => /corrected/.test(stepOf(found, 'row')?.what ?? ''), 'fixed', String(NOW))
    expect(json.steps.filter(({ step }) => step === 'raw').map(({ what }) => what)).toEqual(['accepted', 'accepted'])
    expect(stepOf(json, 'late')).toMatchObject({ found: true, what: 'correction' })
    expect(stepOf(json, 'row')?.what).toMatch(/temperature_c=2.*corrected/)
  })

  test('a record that is no reading is followed by its place', async () => {
    await stack.send([{ key: Buffer.from('t1/junk'), value: Buffer.from('not framed') }])
    await settled(stack)
    const json = await trace('--dead-letter', await letterOf('t1/junk'))
    expect(json).toMatchObject({ fate: 'dead letter', sensor_id: null })
    expect(stepOf(json, 'raw')).toMatchObject({ found: true, what: 'refused' })
  })

  test('a dead letter, and its replay', async () => {
    const id = Math.max(...stack.schemaIds.values()) + 1
    const value = encodeFramed(readingType, id, readingOf('letter', EPOCH, 0, NOW))
    await stack.send([{ key: Buffer.from('t1/letter'), value }])
    await settled(stack)
    const place = (await letterOf('t1/letter')).replace(':', '@')
    const open = await trace('--dead-letter', place)
    expect(open.fate).toBe('dead letter')
    expect(stepOf(open, 'dead letter')).toMatchObject({
      where: `${DLQ}/${place}`,
      what: expect.stringContaining('UNKNOWN_SCHEMA'),
    })
    expect(stepOf(open, 'replay')).toMatchObject({ found: false })
    const schema = JSON.parse(schemaText('reading')) as object
    const answer = await fetch(`${stack.registryUrl}/subjects/${subjectOf(RAW)}/versions`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({ schema: JSON.stringify({ ...schema, doc: 'newer' }) }),
    })
    expect(await answer.json()).toMatchObject({ id })
    // Refine remembers for a while that a schema is unknown.
    await refine.stop()
    refine = await stack.startRefine()
    expect((await run(['dlq', 'replay', '--reason', 'UNKNOWN_SCHEMA'])).code).toBe(0)
    // Raw may end with the marker of the replay's transaction, so that refine's offset stays below its end.
    const json = await traceUntil(hasRow, '--dead-letter', place)
    expect(json, JSON.stringify(json, null, 1)).toMatchObject({ fate: 'clean', sensor_id: 'letter', seq: 0 })
    expect(stepOf(json, 'replay')).toMatchObject({ found: true, what: 'replayed' })
    expect(json.steps.filter(({ step }) => step === 'raw').map(({ what }) => what)).toEqual([
      'refused',
      `accepted, a replay of the dead letter ${place}`,
    ])
  })

  test('an imported reading: its entry in the write-ahead log', async () => {
    const file = join(dataDir, 'file.jsonl')
    writeFileSync(file, `{"tenant_id":"t1","sensor_id":"walled","ts":${NOW},"power_w":5}\n`)
    expect((await run(['import', file])).code).toBe(0)
    const json = await traceUntil(hasRow, 'walled', String(NOW))
    expect(json.fate).toBe('clean')
    expect(stepOf(json, 'wal')).toMatchObject({ found: true, what: 'acknowledged by the broker' })
    expect(stepOf(json, 'wal')?.where).toMatch(/^import\/.*reading 0$/)
  })

  test('what is nowhere is said to be nowhere, and what cannot be meant is refused', async () => {
    const { code, out } = await run(['trace', 'clean', String(NOW + 999_999)])
    expect([code, out]).toEqual([1, expect.stringMatching(/raw +not there[^]*--scan[^]*fate: not found/)])
    expect((await run(['trace', 'clean', String(NOW + 999_999), '--scan'])).code).toBe(1)
    for (const args of [
      ['clean'],
      [],
      ['clean', '1', '--seq', '1:2'],
      ['clean', 'noon'],
      ['--dead-letter', '0@999999'],
    ])
      expect(await run(['trace', ...args])).toMatchObject({ code: 1, err: expect.not.stringContaining('    at ') })
  })

  test('a reading that refine has not read yet is waiting', async () => {
    await refine.kill()
    await stack.send([record('waits', EPOCH, 0, NOW)])
    const json = await trace('waits', String(NOW), '--tenant', 't1')
    expect(json.fate).toBe('waiting')
    expect(stepOf(json, 'raw')).toMatchObject({ found: true, what: 'not read by refine yet' })
    expect(stepOf(json, 'row')).toMatchObject({ found: false })
    await stack.startRefine()
  })
})
