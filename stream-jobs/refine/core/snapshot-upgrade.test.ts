// A snapshot outlives changes of the schema: windows find their metric by name, a new metric starts without one, and
// that of a metric which is gone is dropped. A snapshot of "another version" is one whose list of metrics differs.
import { describe, expect, test } from 'vitest'
import { recordBatchOf } from '../../../platform/kafka/record-batch/record-batch.test-support.ts'
import { METRICS } from '../../../schemas/metrics.ts'
import { feed, newCore, Recorder, recordOf, SETTINGS, START_MS } from './arrivals.test-support.ts'
import type { Refine } from './refine.ts'
import { restoreSnapshot, type SnapshotChunk, snapshotType, takeSnapshot } from './snapshot.ts'

const NAMES = METRICS.map(({ name }) => name)

/** A core whose sensor has two windows, of metrics that have others before, between and after them. */
function withWindows(): Refine {
  const core = newCore(new Recorder())
  const records = [0, 1, 2, 3].map((seq) =>
    recordOf({ epoch: 1, seq, ts: START_MS + seq, current_a: seq, humidity_pct: 10 * seq }),
  )
  feed(core, [recordBatchOf(records, { appendTime: START_MS })])
  return core
}

/** The snapshot as a version that declares these metrics would have written it. */
const writtenBy = (core: Refine, names: readonly string[]): SnapshotChunk[] =>
  takeSnapshot(core, 'id', 4).map((chunk) => ({
    ...chunk,
    metrics: [...names],
    sensors: chunk.sensors.map((sensor) => ({
      ...sensor,
      windows: sensor.windows.flatMap((window) => {
        const metric = names.indexOf(chunk.metrics[window.metric])
        return metric < 0 ? [] : [{ ...window, metric }]
      }),
    })),
  }))

const restored = (chunks: readonly SnapshotChunk[]): Refine => {
  const core = newCore(new Recorder())
  restoreSnapshot(
    core,
    chunks.map((chunk) => snapshotType.fromBuffer(snapshotType.toBuffer(chunk)) as SnapshotChunk),
  )
  return core
}

const windowsOf = (core: Refine): Record<string, number[]> =>
  Object.fromEntries(
    [...core.sensors.values()].flatMap(({ windows }) =>
      windows.flatMap((window, metric) =>
        window === null ? [] : [[NAMES[metric], [...window.samples()].map((sample) => sample + window.reference)]],
      ),
    ),
  )

const BOTH = { current_a: [0, 1, 2, 3], humidity_pct: [0, 10, 20, 30] }

describe('a snapshot of a version with other metrics', () => {
  test.each([
    ['one fewer in front', NAMES.filter((name) => name !== 'power_w')],
    ['one fewer between them', NAMES.filter((name) => name !== 'temperature_c')],
    ['one more in front', ['gone_w', ...NAMES]],
    ['one more between them', [...NAMES.slice(0, 4), 'gone_w', ...NAMES.slice(4)]],
    ['another order', [...NAMES].reverse()],
  ])('gives every window back to its own metric: %s', (_, names) => {
    expect(windowsOf(restored(writtenBy(withWindows(), names)))).toEqual(BOTH)
  })

  test('starts a metric empty that it did not have, and drops the window of one that is there no more', () => {
    const renamed = NAMES.map((name) => (name === 'humidity_pct' ? 'gone_pct' : name))
    const chunks = writtenBy(withWindows(), NAMES).map((chunk) => ({ ...chunk, metrics: renamed }))
    const core = restored(chunks)
    expect(windowsOf(core)).toEqual({ current_a: BOTH.current_a })
    const more = recordOf({ epoch: 1, seq: 4, ts: START_MS + 4, humidity_pct: 40, current_a: 4 })
    feed(core, [recordBatchOf([more], { appendTime: START_MS })])
    expect(windowsOf(core)).toEqual({ current_a: [0, 1, 2, 3, 4], humidity_pct: [40] })
  })

  test('from before metrics were named continues without windows: their order then is not known', () => {
    const chunks = takeSnapshot(withWindows(), 'id', 4).map((chunk) => ({ ...chunk, metrics: [] }))
    const core = restored(chunks)
    expect(windowsOf(core)).toEqual({})
    expect(core.ledger).toMatchObject({ consumed: 4, emitted: 4 })
  })

  test('keeps its ledger by name: a counter that is new starts at 0', () => {
    const chunks = takeSnapshot(withWindows(), 'id', 4).map((chunk) => ({
      ...chunk,
      counters: { consumed: 4, emitted: 4, unheardOf: 3 },
    }))
    expect(restored(chunks).ledger).toEqual({ ...newCore(new Recorder()).ledger, consumed: 4, emitted: 4 })
    expect(restored(chunks).settings).toEqual(SETTINGS)
  })
})
