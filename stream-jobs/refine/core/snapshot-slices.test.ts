// security 8: 100,000 sensors in one POST. Their state is written slice by slice, so that neither memory nor the event loop
// ever has all of it at once.
import { describe, expect, test } from 'vitest'
import { recordBatchOf } from '../../../platform/kafka/record-batch/record-batch.test-support.ts'
import { feed, newCore, Recorder, recordOf, START_MS } from './arrivals.test-support.ts'
import { numbered } from './started.test-support.ts'
import { restoreSnapshot, SnapshotSlices, snapshotType, takeSnapshot } from './snapshot.ts'

const SENSORS = 20_000
/** A slice may exceed its bound by one sensor, and Avro's own bytes. */
const SLICE_BYTES_MAX = 600 * 1024

function crowd() {
  const core = newCore(new Recorder())
  for (let from = 0; from < SENSORS; from += 1_000) {
    const records = Array.from({ length: 1_000 }, (_, i) =>
      recordOf({ sensor_id: `s${from + i}`, epoch: 1, seq: 0, ts: START_MS - 60_000, temperature_c: 20, power_w: 5 }),
    )
    feed(core, [recordBatchOf(records, { baseOffset: from, appendTime: START_MS })])
  }
  return core
}

describe('security 8: the snapshot of many sensors', () => {
  test('has slices of half a mebibyte at most, each made when it is asked for, and all sensors once', () => {
    const core = crowd()
    const slices = new SnapshotSlices(core, 'id', SENSORS)
    expect(slices.count).toBeGreaterThan(4)
    let sensors = 0
    for (let index = 0; index < slices.count; index += 1) {
      const slice = slices.slice(index)
      sensors += slice.sensors.length
      expect(snapshotType.toBuffer(slice).length).toBeLessThan(SLICE_BYTES_MAX)
      expect(slice).toMatchObject({ id: 'id', index, chunks: slices.count, input_offset: SENSORS })
    }
    expect(sensors).toBe(SENSORS)
    const restored = newCore(new Recorder())
    restoreSnapshot(restored, takeSnapshot(core, 'id', SENSORS))
    expect(restored.sensors.size).toBe(SENSORS)
  })

  test('is refused once the core has run on: its slices would not be of one state', () => {
    const core = crowd()
    const slices = new SnapshotSlices(core, 'id', SENSORS)
    slices.slice(0)
    feed(core, [recordBatchOf([numbered(0)], { baseOffset: SENSORS, appendTime: START_MS })])
    expect(() => slices.slice(1)).toThrow('the core has run since its snapshot was begun')
  })

  test('estimates a sensor’s size closely enough, whatever is in it', () => {
    const core = newCore(new Recorder())
    const records = Array.from({ length: 200 }, (_, i) =>
      recordOf({
        epoch: 1,
        seq: 2 * i + 1,
        ts: START_MS - 60_000 + i,
        temperature_c: i,
        tags: { note: 'x'.repeat(500) },
      }),
    )
    feed(core, [recordBatchOf(records, { appendTime: START_MS })])
    const [chunk] = takeSnapshot(core, 'id', 0)
    expect(takeSnapshot(core, 'id', 0)).toHaveLength(1)
    expect(snapshotType.toBuffer(chunk).length).toBeGreaterThan(30_000)
  })
})
