// What tests of the log share: a temp folder that goes away, small logs, readings of one sensor.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { makeBatch, makeReading, SCHEMA_ID } from './readings.test-support.ts'
import { FRAME_BYTES, type Reading, readingType } from '../codec/reading.ts'
import { entryKind, keyAt, keyLength, MARK, soundEntryEnd } from './format.ts'
import type { WalOptions } from './options.ts'
import { Wal } from './wal.ts'

export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'plumbline-wal-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

let lastEpoch = 1_000

export function openWal(dir: string, options: Partial<WalOptions> = {}): Wal {
  const claimEpoch = (): number => (lastEpoch += 1)
  return new Wal({
    dir,
    nodeId: 'node-0001',
    segmentBytes: 4_096,
    maxBytes: 1_048_576,
    fsyncMs: 100,
    claimEpoch,
    ...options,
  })
}

export { makeBatch, makeReading, SCHEMA_ID }

/** Appends `count` readings of a sensor; returns whether the log took them. */
export function appendReadings(wal: Wal, sensor: string, count: number, ts = 1): boolean {
  const batch = makeBatch()
  for (let i = 0; i < count; i += 1) batch.add(wal.lane(`t/${sensor}`), makeReading(sensor, ts + i))
  return wal.append(batch) !== null
}

/** Leaves the log as a killed process does: nothing closed, the lock of a dead owner. */
export function crash(dir: string): void {
  const owner = JSON.parse(readFileSync(join(dir, 'lock'), 'utf8')) as { start: string }
  writeFileSync(join(dir, 'lock'), JSON.stringify({ ...owner, start: 'gone' }))
}

/** All readings of the log from `index` on, decoded. */
export function decodeReadings(wal: Wal, index = 0): Reading[] {
  const readings: Reading[] = []
  const cursor = wal.cursorAt(index)
  let at = cursor.index
  for (let chunk = wal.read(cursor); chunk !== null; chunk = wal.read(cursor)) {
    const { bytes } = chunk
    for (let place = chunk.at; place < bytes.length; place = soundEntryEnd(bytes, place)) {
      if (entryKind(bytes, place) === MARK) continue
      const value = keyAt(bytes, place) + keyLength(bytes, place)
      if (at >= index)
        readings.push(
          readingType.fromBuffer(bytes.subarray(value + FRAME_BYTES, soundEntryEnd(bytes, place))) as Reading,
        )
      at += 1
    }
  }
  return readings
}
