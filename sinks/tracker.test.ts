// Up to when everything is stored, while a transaction of somebody else keeps part of a log from being read.
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../platform/clock.ts'
import type { Admin } from '../platform/kafka/port.ts'
import type { Tails } from '../platform/kafka/tails.ts'
import { createMetrics } from '../platform/metrics.ts'
import { CLEAN, RAW } from '../schemas/topics.ts'
import { SinkPartition } from './core/sink-partition.ts'
import { SinkMetrics } from './sink-metrics.ts'
import { Tracker } from './tracker.ts'
import { StoreWriter } from './writer.ts'

/** One partition of raw and clean: what may be read of each, and where its log ends. */
let log: Record<string, { stable: number; logEnd: number }>
let refined: number
let partition: SinkPartition
let tracker: Tracker
let writer: StoreWriter

beforeEach(() => {
  const metrics = new SinkMetrics(createMetrics('sinks'))
  const admin: Pick<Admin, 'offsetRanges' | 'highWatermarks' | 'committedOffsets'> = {
    offsetRanges: async (topic) => [{ start: 0, end: log[topic].stable }],
    highWatermarks: async (topic) => [log[topic].logEnd],
    committedOffsets: async () => [{ offset: refined, metadata: '' }],
  }
  // Every offset is a record here: there is no tail to pass.
  const tails: Pick<Tails, 'passable'> = { passable: async (_at, from) => from }
  writer = new StoreWriter({
    ...{ clock: systemClock, random: () => 0, lingerMs: 1, timeoutMs: 1_000, metrics, log: pino({ level: 'silent' }) },
    store: { write: async () => {} },
    deadLetter: async () => {},
    onMoved: () => {},
    onOpen: () => {},
    onFailed: () => {},
  })
  tracker = new Tracker({ admin: admin as Admin, tails: tails as Tails, writer, metrics, refineGroup: 'refine' })
  partition = new SinkPartition({ topic: CLEAN, partition: 0 })
  partition.found(null, 10, null)
  refined = 10
  log = { [RAW]: { stable: 10, logEnd: 10 }, [CLEAN]: { stable: 10, logEnd: 10 } }
})
afterEach(() => writer.stop())

/** Several looks, as a mark needs them to pass through its stages. */
async function lookFrom(fromMs: number): Promise<number | null> {
  for (let i = 0; i < 5; i += 1) await tracker.look([partition], fromMs + i * 250)
  return partition.advance!.throughMs
}

describe('K2: the time up to which everything is stored', () => {
  it('follows the clock while nothing is held back', async () => {
    expect(await lookFrom(1_000)).toBeGreaterThanOrEqual(1_500)
    expect(await lookFrom(9_000)).toBeGreaterThanOrEqual(9_500)
  })

  it.each([RAW, CLEAN])(
    'never runs ahead of a transaction that is open on %s, and continues when it ends',
    async (topic) => {
      const before = (await lookFrom(1_000))!
      log[topic] = { stable: 10, logEnd: 15 }
      expect(await lookFrom(9_000)).toBeLessThan(9_000)
      expect(await lookFrom(60_000)).toBeLessThan(9_000)
      expect(partition.advance!.throughMs).toBeGreaterThanOrEqual(before)
      // Of raw's, refine's readiness tells.
      if (topic === CLEAN) expect(tracker.watch.check(70_000).detail).toContain('by an open transaction')
      log[topic].stable = 15
      refined = log[RAW].stable
      partition.passed(log[CLEAN].stable)
      expect(await lookFrom(80_000)).toBeGreaterThanOrEqual(60_000)
    },
  )
})
