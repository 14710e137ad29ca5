// Random bytes, headers, schemas, batches and codecs in raw, for 30 s (SOAK=1: ten minutes), with good readings in
// between. Whatever comes, no partition stands still, every good reading gets through in order, and the audit balances.
// A failure is repeated by FUZZ_SEED and FUZZ_ROUNDS, which are printed: what a round sends follows from both.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { audit } from '../../audit/audit.ts'
import { loadConfig } from '../../platform/config.ts'
import { FRAME_BYTES, type Reading, readingType } from '../../platform/codec/reading.ts'
import { CLEAN, DLQ, RAW } from '../../schemas/topics.ts'
import { chance, randomOf, whole } from '../../sim/random.ts'
import { hostileBatch, type Registered, writtenOf } from '../fixtures/hostile-batches.ts'
import { readingOf, recordOf } from '../fixtures/load.ts'
import { RawProducer } from '../fixtures/raw-produce.ts'
import { settled, type Stack, startStack } from '../fixtures/refine.ts'
import { readTopic } from '../fixtures/topic-records.ts'

const IS_SOAK = process.env.SOAK === '1'
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31)
/** As many rounds as the time allows, unless said. */
const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? Infinity)
const FUZZ_MS = IS_SOAK ? 600_000 : 30_000
const PARTITIONS = 3
const GOOD_SENSORS = 8
const BATCHES_MAX = 8
const REGISTERS = 0.3
/** Of those used last. */
const REGISTERED_MAX = 50
/** The partitions have come to their ends at least this often. */
const SETTLE_EVERY = 100

let stack: Stack
let dataDir: string
let raw: RawProducer

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'plumbline-fuzz-'))
  stack = await startStack(PARTITIONS)
  await stack.startRefine()
  raw = new RawProducer(stack.broker.brokers)
})
afterAll(async () => {
  raw?.close()
  await stack?.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

/** Null: the registry refuses it. A subject of its own: not all are compatible with ours. */
async function register(round: number, schema: unknown): Promise<number | null> {
  const response = await fetch(`${stack.registryUrl}/subjects/fuzz-${round}-value/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify(schema) }),
  })
  return response.ok ? ((await response.json()) as { id: number }).id : null
}

describe(`X-2 X-3: whatever is in raw (FUZZ_SEED=${SEED})`, () => {
  it(
    'T1: no partition stands still, good readings get through, the audit balances',
    async () => {
      const began = performance.now()
      const startMs = Date.now() - 3_600_000
      const registered: Registered[] = []
      const answers = new Map<number, number>()
      let round = 0
      for (; round < ROUNDS && (ROUNDS < Infinity || performance.now() - began < FUZZ_MS); round += 1) {
        const random = randomOf(SEED, `round ${round}`)
        if (chance(random, REGISTERS)) {
          const written = writtenOf(random)
          const id = await register(round, written.schema)
          if (id !== null) registered.push({ id, written })
          if (registered.length > REGISTERED_MAX) registered.shift()
        }
        const sources = { random, readingId: stack.readingId, registered, now: startMs }
        for (let i = whole(random, 1, BATCHES_MAX); i > 0; i -= 1) {
          const answer = await raw.produce(RAW, whole(random, 0, PARTITIONS - 1), hostileBatch(sources))
          answers.set(answer, (answers.get(answer) ?? 0) + 1)
        }
        await stack.send(
          Array.from({ length: GOOD_SENSORS }, (_, sensor) =>
            recordOf(readingOf(`good-${sensor}`, 1, round, startMs + round), stack.readingId),
          ),
        )
        if (round % SETTLE_EVERY === SETTLE_EVERY - 1) await untilSettled(round)
      }
      await untilSettled(round)
      process.stdout.write(`FUZZ_SEED=${SEED} FUZZ_ROUNDS=${round}, answers by code ${JSON.stringify([...answers])}\n`)
      await expectAllThrough(round)
      // Both happened: the broker stored some, and refused some.
      expect(answers.get(0) ?? 0).toBeGreaterThan(0)
      expect([...answers.keys()].filter((code) => code !== 0)).not.toEqual([])
    },
    FUZZ_MS + 300_000,
  )
})

const again = (rounds: number): string => `again: FUZZ_SEED=${SEED} FUZZ_ROUNDS=${rounds}`

async function untilSettled(round: number): Promise<void> {
  try {
    await settled(stack)
  } catch (error) {
    throw new Error(again(round + 1), { cause: error })
  }
}

async function expectAllThrough(rounds: number): Promise<void> {
  const seqs = new Map<string, number[]>()
  for (const { key, value } of (await readTopic(stack.kafka, CLEAN)).flat()) {
    const sensor = /^t1\/(good-\d+)$/.exec(key!.toString())?.[1]
    if (sensor === undefined) continue
    const { seq } = readingType.fromBuffer(value!.subarray(FRAME_BYTES)) as Reading
    const list = seqs.get(sensor) ?? []
    seqs.set(sensor, list)
    list.push(seq)
  }
  const all = Array.from({ length: rounds }, (_, seq) => seq)
  for (let sensor = 0; sensor < GOOD_SENSORS; sensor += 1)
    expect(seqs.get(`good-${sensor}`), `good-${sensor}, ${again(rounds)}`).toEqual(all)
  const reasons = new Set(
    (await readTopic(stack.kafka, DLQ)).flat().map(({ headers }) => headers['__connect.errors.exception.class.name']),
  )
  expect([...reasons], again(rounds)).not.toContain('INTERNAL_ERROR')
  const config = loadConfig(stack.env({ DATA_DIR: dataDir, SQLITE_FILE: join(dataDir, 'none.sqlite') }))
  const report = await audit(config, stack.kafka)
  expect(report.problems, again(rounds)).toEqual([])
  expect(report.balanced, again(rounds)).toBe(true)
}
