// What a decoded batch reports beside its rows.
import pino from 'pino'
import { expect, it } from 'vitest'
import { systemClock } from '../platform/clock.ts'
import { encodeFramed, METRIC_NAMES, type Reading, readingType } from '../platform/codec/reading.ts'
import { recordBatchOf } from '../platform/kafka/record-batch/record-batch.test-support.ts'
import { createMetrics } from '../platform/metrics.ts'
import { reading } from '../platform/store/contract-rows.ts'
import { schemaText } from '../schemas/load.ts'
import { CLEAN } from '../schemas/topics.ts'
import { BatchDecoder } from './batch-decoder.ts'
import { SinkPartition } from './core/sink-partition.ts'
import type { DeadLetters } from './dead-letters.ts'
import { SinkMetrics } from './sink-metrics.ts'

const NULLS = Object.fromEntries(METRIC_NAMES.map((name) => [name, null]))
const full = (fields: Partial<Reading>): Reading => ({ ...reading(), ...NULLS, erase: [], ...fields }) as Reading

it('K6: readings without any metric are stored and counted; those that erase one say something', async () => {
  const registry = createMetrics('sinks')
  const warned: unknown[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => warned.push(JSON.parse(line)) })
  const decoder = new BatchDecoder(
    () => Promise.resolve(schemaText('reading')),
    {} as DeadLetters,
    new SinkMetrics(registry),
  )
  const readings = [
    full({ ts: 1 }),
    full({ ts: 2, [METRIC_NAMES[0]]: 0 }),
    full({ ts: 3, erase: [METRIC_NAMES[0]] }),
    full({ ts: 4 }),
  ]
  const batch = recordBatchOf(
    readings.map((one) => ({ key: Buffer.from('t/s'), value: encodeFramed(readingType, 1, one) })),
    { appendTime: 5 },
  )
  const fetched = { topic: CLEAN, partition: 0, batches: [batch], nextOffset: 4, endOffset: 4 }
  const retry = { clock: systemClock, random: Math.random, log, isWanted: () => true }
  for (let i = 0; i < 2; i += 1) {
    const decoded = await decoder.decode(fetched, new SinkPartition({ topic: CLEAN, partition: 0 }), 0, retry)
    expect(decoded?.readings.map(({ ts }) => ts)).toEqual([1, 2, 3, 4])
  }
  const metrics = await registry.metrics()
  expect(metrics).toMatch(/plumbline_sink_readings_without_metric_total\{.*topic="telemetry.clean".*\} 4/)
  // Every minute at most, whatever comes.
  expect(warned).toMatchObject([{ readings: 2, sensor: 's', ts: 1 }])
})
