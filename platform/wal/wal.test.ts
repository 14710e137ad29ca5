import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { listSegments, readWalSummary } from './reader.ts'
import { Epochs } from './epochs.ts'
import { bootId } from './lock.ts'
import { checkAsync } from '../../test/fixtures/property.ts'
import { appendReadings, crash, decodeReadings, makeBatch, makeReading, openWal, tempDir } from './wal.test-support.ts'

const lastSegment = (dir: string): string =>
  join(
    dir,
    readdirSync(dir)
      .filter((name) => name.endsWith('.wal'))
      .sort()
      .at(-1) as string,
  )

describe('the write-ahead log (MI-2)', () => {
  test('a model that only counts agrees with it through appends, acknowledgements, crashes and torn tails', async () => {
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant('append' as const),
          sensor: fc.integer({ min: 0, max: 3 }),
          count: fc.integer({ min: 1, max: 30 }),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constant('ack' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('crash' as const), garbage: fc.uint8Array({ maxLength: 40 }) }),
      },
      { weight: 1, arbitrary: fc.constant({ kind: 'sync' as const }) },
    )
    await checkAsync(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const dir = tempDir()
        let wal = openWal(dir)
        const accepted: [string, number][] = []
        const next = new Map<string, number>()
        let acked = 0
        for (const action of steps) {
          if (action.kind === 'append') {
            const sensor = `s${action.sensor}`
            expect(appendReadings(wal, sensor, action.count)).toBe(true)
            for (let i = 0; i < action.count; i += 1) {
              const seq = next.get(sensor) ?? 0
              accepted.push([sensor, seq])
              next.set(sensor, seq + 1)
            }
          } else if (action.kind === 'ack') {
            acked += Math.floor((accepted.length - acked) * action.share)
            wal.acknowledge(acked)
          } else if (action.kind === 'sync') await wal.sync()
          else {
            crash(dir)
            writeFileSync(lastSegment(dir), action.garbage, { flag: 'a' })
            wal = openWal(dir)
          }
          expect(wal.appended).toBe(accepted.length)
          expect(wal.acknowledged).toBe(acked)
        }
        expect(decodeReadings(wal, acked).map(({ sensor_id, seq }) => [sensor_id, seq])).toEqual(accepted.slice(acked))
        const summary = readWalSummary(dir)
        expect(summary?.appendedIndex).toBe(accepted.length)
        expect(summary?.acknowledgedIndex).toBe(acked)
        expect(summary?.accepted).toEqual(new Map([...next].map(([sensor, seq]) => [`t/${sensor}`, seq - 1])))
        await wal.close()
      }),
      60,
    )
  })

  test('acknowledged segments are deleted, and the seq of a sensor that was only in them continues without a gap', async () => {
    const dir = tempDir()
    let wal = openWal(dir)
    appendReadings(wal, 'early', 5)
    for (let i = 0; i < 40; i += 1) appendReadings(wal, 'late', 10)
    expect(listSegments(dir).length).toBeGreaterThan(3)
    const former = wal.bytes
    wal.acknowledge(wal.appended)
    expect(listSegments(dir)).toHaveLength(1)
    expect(wal.bytes).toBeLessThan(former / 3)
    crash(dir)
    wal = openWal(dir)
    expect(wal.lane('t/early').stagedSeq).toBe(5)
    expect(wal.lane('t/late').stagedSeq).toBe(400)
    await wal.close()
  })

  test('a segment that holds one reading not acknowledged stays', async () => {
    const dir = tempDir()
    const wal = openWal(dir)
    for (let i = 0; i < 10; i += 1) appendReadings(wal, 'a', 10)
    const [, second] = listSegments(dir)
    wal.acknowledge(second - 1)
    expect(decodeReadings(wal, second - 1)[0].seq).toBe(second - 1)
    wal.acknowledge(second)
    expect(listSegments(dir)[0]).toBe(second)
    await wal.close()
  })

  test('at its bound it refuses a batch as a whole, keeps the numbers unused, and takes it after an acknowledgement', async () => {
    const dir = tempDir()
    const wal = openWal(dir, { maxBytes: 65_536 })
    let accepted = 0
    while (appendReadings(wal, 'a', 20)) accepted += 20
    expect(wal.lane('t/a').stagedSeq).toBe(accepted)
    const onDisk = listSegments(dir).reduce(
      (sum, base) => sum + statSync(join(dir, `${String(base).padStart(16, '0')}.wal`)).size,
      0,
    )
    expect(onDisk).toBe(wal.bytes)
    expect(onDisk).toBeLessThanOrEqual(65_536)
    wal.acknowledge(wal.appended)
    expect(appendReadings(wal, 'a', 20)).toBe(true)
    expect(decodeReadings(wal, accepted).map(({ seq }) => seq)).toEqual(
      Array.from({ length: 20 }, (_, i) => accepted + i),
    )
    await wal.close()
  })

  test('bytes that had been forced to disk and are damaged stop it, with the file named; nothing after them is dropped silently', async () => {
    const dir = tempDir()
    const wal = openWal(dir)
    appendReadings(wal, 'a', 3)
    await wal.sync()
    appendReadings(wal, 'a', 3)
    await wal.close()
    const file = lastSegment(dir)
    const bytes = readFileSync(file)
    bytes[bytes.length >> 2] ^= 1
    writeFileSync(file, bytes)
    expect(() => openWal(dir)).toThrow(
      expect.objectContaining({ code: 'WAL_CORRUPT', message: expect.stringContaining('.wal') }),
    )
  })

  test('damage in an older segment is found when it is read, not skipped', async () => {
    const dir = tempDir()
    const wal = openWal(dir)
    onTestFinished(() => wal.close())
    for (let i = 0; i < 20; i += 1) appendReadings(wal, 'a', 10)
    const file = join(
      dir,
      readdirSync(dir)
        .filter((name) => name.endsWith('.wal'))
        .sort()[1],
    )
    const bytes = readFileSync(file)
    bytes[bytes.length >> 1] ^= 1
    writeFileSync(file, bytes)
    expect(() => decodeReadings(wal, 0)).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT' }))
  })

  test('a segment that lost its end is named, not taken for the end of the log', async () => {
    const dir = tempDir()
    const wal = openWal(dir)
    onTestFinished(() => wal.close())
    for (let i = 0; i < 20; i += 1) appendReadings(wal, 'a', 10)
    const file = join(
      dir,
      readdirSync(dir)
        .filter((name) => name.endsWith('.wal'))
        .sort()[1],
    )
    truncateSync(file, statSync(file).size - 3)
    expect(() => decodeReadings(wal, 0)).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT' }))
  })

  test('with fsyncMs 0 a reading is accepted only when it has been forced to disk', async () => {
    const wal = openWal(tempDir(), { fsyncMs: 0 })
    appendReadings(wal, 'a', 3)
    expect([wal.appended, wal.accepted]).toEqual([3, 0])
    await wal.sync()
    expect(wal.accepted).toBe(3)
    await wal.close()
  })

  test('a living owner keeps others out; a dead one does not', async () => {
    const dir = tempDir()
    const wal = openWal(dir)
    expect(() => openWal(dir)).toThrow(
      expect.objectContaining({ code: 'WAL_LOCKED', message: expect.stringContaining(String(process.pid)) }),
    )
    crash(dir)
    const second = openWal(dir)
    expect(second.epoch).toBe(wal.epoch)
    await second.close()
  })

  test('after the machine went down it continues in a new epoch, since numbers may have been sent that the disk forgot', async () => {
    const dir = tempDir()
    const wal = openWal(dir, { boot: 'before' })
    appendReadings(wal, 'a', 4, 100)
    const restarted = openWal(dir, { boot: bootId() })
    expect(restarted.epoch).not.toBe(wal.epoch)
    appendReadings(restarted, 'a', 2)
    expect(decodeReadings(restarted, 0).map(({ epoch, seq }) => [epoch, seq])).toEqual([
      ...[0, 1, 2, 3].map((seq) => [wal.epoch, seq]),
      ...[0, 1].map((seq) => [restarted.epoch, seq]),
    ])
    expect(restarted.lastTs).toBe(103)
    await restarted.close()
    const summary = readWalSummary(dir)
    expect(summary?.accepted).toEqual(new Map([['t/a', 1]]))
    expect(summary?.foreign).toEqual([{ key: 't/a', epoch: wal.epoch, own: true, count: 4, lastSeq: 3 }])
  })

  test('an acknowledgement that outlived its readings in a power cut does not cover those that take their place', async () => {
    const dir = tempDir()
    const wal = openWal(dir, { boot: 'first' })
    appendReadings(wal, 'a', 5)
    const kept = readFileSync(lastSegment(dir))
    appendReadings(wal, 'a', 5)
    for (const index of [9, 10]) wal.acknowledge(index)
    writeFileSync(lastSegment(dir), kept)
    expect(readWalSummary(dir)).toMatchObject({ appendedIndex: 5, acknowledgedIndex: 5 })
    const second = openWal(dir, { boot: 'second' })
    expect([second.appended, second.acknowledged]).toEqual([5, 5])
    appendReadings(second, 'a', 4)
    const third = openWal(dir, { boot: 'third' })
    expect([third.appended, third.acknowledged]).toEqual([9, 5])
    await third.close()
  })

  test('readings that brought their own numbers keep them and are counted apart', async () => {
    const dir = tempDir()
    const wal = openWal(dir)
    const batch = makeBatch()
    for (const seq of [41, 40]) batch.add(wal.foreignLane('t/x', 9), makeReading('x', 5, { epoch: 9, seq }))
    batch.add(wal.foreignLane('t/x', 0), makeReading('x', 6))
    wal.append(batch)
    expect(decodeReadings(wal, 0).map(({ epoch, seq }) => [epoch, seq])).toEqual([
      [9, 41],
      [9, 40],
      [0, 0],
    ])
    await wal.close()
    expect(readWalSummary(dir)?.foreign).toEqual([
      { key: 't/x', epoch: 9, own: false, count: 2, lastSeq: 41 },
      { key: 't/x', epoch: 0, own: false, count: 1, lastSeq: 0 },
    ])
  })

  test('a reading longer than a record may be is refused and leaves the batch as it was', async () => {
    const wal = openWal(tempDir(), { maxBytes: 16_777_216 })
    const batch = makeBatch()
    batch.add(wal.lane('t/a'), makeReading('a', 1))
    const huge = makeReading('a', 2, { tags: { note: 'x'.repeat(1_048_576) } })
    expect(() => batch.add(wal.lane('t/a'), huge)).toThrow(
      expect.objectContaining({ code: 'RECORD_TOO_LARGE', message: expect.stringContaining('1048576') }),
    )
    batch.add(wal.lane('t/a'), makeReading('a', 3, { tags: { note: 'x'.repeat(1_000_000) } }))
    wal.append(batch)
    expect(decodeReadings(wal, 0).map(({ seq, ts }) => [seq, ts])).toEqual([
      [0, 1],
      [1, 3],
    ])
    await wal.close()
  })
})

test('epochs are never given twice, not within a second and not when the clock steps back', () => {
  const dir = tempDir()
  const epochs = new Epochs(dir, () => 0.5)
  const other = new Epochs(dir, () => 0.5)
  const given = [
    epochs.claim(5_000_000),
    other.claim(5_000_000),
    epochs.claim(5_000_000),
    other.claim(1_000),
    new Epochs(dir, () => 0.5).claim(2_000),
  ]
  expect(new Set(given).size).toBe(given.length)
  expect(given[0]).toBe(5_000 * 2 ** 20 + 2 ** 19)
  expect(Math.min(...given)).toBe(given[0])
})
