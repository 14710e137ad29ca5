import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { letTheClockTick } from '../../sim/clock-tick.ts'
import { checkAsync } from '../../test/fixtures/property.ts'
import { FRAME_BYTES, type Reading, readingType } from '../codec/reading.ts'
import { entryKind, keyAt, keyLength, MARK, soundEntryEnd } from './format.ts'
import type { Wal } from './wal.ts'
import { appendReadings, crash, makeBatch, makeReading, openWal, tempDir } from './wal.test-support.ts'

const filesIn = (dir: string): string[] => readdirSync(dir).filter((name) => name !== 'lock')
const segmentsIn = (dir: string): string[] => filesIn(dir).filter((name) => name.endsWith('.wal'))

function copyFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  for (const name of filesIn(from)) copyFileSync(join(from, name), join(to, name))
}

/** What is sent: identity and what it stands for, from the first reading not acknowledged on. */
function send(wal: Wal, sent: Map<string, number>): void {
  const cursor = wal.cursorAt(wal.acknowledged)
  for (let chunk = wal.read(cursor); chunk !== null; chunk = wal.read(cursor)) {
    const { bytes } = chunk
    for (let at = chunk.at; at < bytes.length; at = soundEntryEnd(bytes, at)) {
      if (entryKind(bytes, at) === MARK) continue
      const value = keyAt(bytes, at) + keyLength(bytes, at) + FRAME_BYTES
      const { sensor_id, epoch, seq, ts } = readingType.fromBuffer(
        bytes.subarray(value, soundEntryEnd(bytes, at)),
      ) as Reading
      const identity = `${sensor_id} ${epoch} ${seq}`
      expect(sent.get(identity) ?? ts, `${identity} was given to two readings`).toBe(ts)
      sent.set(identity, ts)
    }
  }
}

/** A log with 200 readings sent and acknowledged as far as `acknowledged`, its process killed. */
function killedLog(acknowledged = 200): { dir: string; epoch: number } {
  const dir = join(tempDir(), 'log')
  const wal = openWal(dir)
  for (let i = 0; i < 20; i += 1) appendReadings(wal, 'a', 10, 1 + 10 * i)
  wal.acknowledge(acknowledged)
  letTheClockTick(join(dir, '..'))
  crash(dir)
  return { dir, epoch: wal.epoch }
}

describe('faults 1: a log that may be behind what was sent continues in a new epoch and says why', () => {
  test('W2: a process that was merely killed goes on in its epoch', async () => {
    const { dir, epoch } = killedLog()
    const wal = openWal(dir)
    expect([wal.epoch, wal.renewed]).toEqual([epoch, null])
    await wal.close()
    const again = openWal(dir)
    expect([again.epoch, again.renewed]).toEqual([epoch, null])
    await again.close()
  })

  test.each<[string, number, RegExp, (dir: string) => void]>([
    ['its tail cut off, the acknowledgement beyond it', 200, /200 had been acknowledged/, (dir) => cutTail(dir, 2 / 3)],
    ['its tail cut off, sent and not acknowledged', 0, /bytes/, (dir) => cutTail(dir, 2 / 3)],
    ['a single byte cut off', 0, /bytes/, (dir) => cutTail(dir, 1)],
    ['its last segment removed', 0, /missing/, (dir) => rmSync(join(dir, segmentsIn(dir).at(-1)!))],
    [
      'all segments removed',
      200,
      /segments are missing/,
      (dir) => segmentsIn(dir).forEach((name) => rmSync(join(dir, name))),
    ],
    ['a segment removed that was not acknowledged', 0, /missing/, (dir) => rmSync(join(dir, segmentsIn(dir)[0]))],
    ['its witness removed', 0, /missing or damaged/, (dir) => rmSync(join(dir, 'witness'))],
    ['its second witness removed', 0, /missing or damaged/, (dir) => rmSync(join(dir, 'witness.2'))],
    ['its witness damaged', 0, /missing or damaged/, (dir) => truncateSync(join(dir, 'witness'), 20)],
    [
      'all segments removed, none acknowledged',
      0,
      /segments are missing/,
      (dir) => segmentsIn(dir).forEach((name) => rmSync(join(dir, name))),
    ],
    ['the segment that is acknowledged removed', 200, /missing/, (dir) => rmSync(join(dir, segmentsIn(dir)[0]))],
    [
      'every file restored from a copy that is the same to the byte',
      0,
      /restored/,
      (dir) => {
        copyFolder(dir, `${dir}-copy`)
        for (const name of filesIn(dir)) rmSync(join(dir, name))
        copyFolder(`${dir}-copy`, dir)
      },
    ],
    [
      'its segments touched, as is advised after a disk was rolled back',
      0,
      /changed/,
      (dir) => segmentsIn(dir).forEach((name) => utimesSync(join(dir, name), 1, 1)),
    ],
    ['its last segment rewritten in place', 0, /changed/, (dir) => overwrite(join(dir, segmentsIn(dir).at(-1)!))],
  ])('W1: %s', async (_what, acknowledged, reason, damage) => {
    const { dir, epoch } = killedLog(acknowledged)
    damage(dir)
    const wal = openWal(dir)
    expect(wal.epoch).not.toBe(epoch)
    expect(wal.renewed).toMatch(reason)
    await wal.close()
  })

  test('W2: the machine was started again: only a log that was in use has a new epoch', async () => {
    const dir = tempDir()
    const wal = openWal(dir, { boot: 'first' })
    appendReadings(wal, 'a', 3)
    await wal.close()
    const second = openWal(dir, { boot: 'second' })
    expect([second.epoch, second.renewed]).toEqual([wal.epoch, null])
    crash(dir)
    const third = openWal(dir, { boot: 'third' })
    expect([third.epoch, third.renewed], 'opened, and nothing was written').toEqual([wal.epoch, null])
    appendReadings(third, 'a', 1)
    crash(dir)
    const fourth = openWal(dir, { boot: 'fourth' })
    expect(fourth.epoch).not.toBe(wal.epoch)
    expect(fourth.renewed).toMatch(/machine went down while it was in use/)
    crash(dir)
    const fifth = openWal(dir, { boot: 'fifth' })
    expect([fifth.epoch, fifth.renewed], 'nothing was written in the new epoch').toEqual([fourth.epoch, null])
    await fifth.close()
  })

  test('W2: a log that a killed process left in use stays so until it is closed cleanly', async () => {
    const dir = tempDir()
    const wal = openWal(dir, { boot: 'first' })
    appendReadings(wal, 'a', 3)
    crash(dir)
    const again = openWal(dir, { boot: 'first' })
    expect(again.epoch).toBe(wal.epoch)
    crash(dir)
    expect(openWal(dir, { boot: 'second' }).renewed).toMatch(/machine went down/)
  })

  test('W1: the machine was started again and the log, closed cleanly, is an older copy of itself', async () => {
    const dir = join(tempDir(), 'log')
    const wal = openWal(dir, { boot: 'first' })
    appendReadings(wal, 'a', 3)
    await wal.close()
    copyFolder(dir, `${dir}-copy`)
    const again = openWal(dir, { boot: 'first' })
    appendReadings(again, 'a', 30)
    await again.close()
    copyFolder(`${dir}-copy`, dir)
    const restored = openWal(dir, { boot: 'second' })
    expect(restored.epoch).not.toBe(wal.epoch)
    expect(restored.renewed).not.toBeNull()
    await restored.close()
  })

  test('W1: a copy made while it was written, its segment newer than its witness, restored at once', () => {
    const dir = join(tempDir(), 'log')
    const copy = `${dir}-copy`
    const wal = openWal(dir)
    appendReadings(wal, 'a', 10)
    copyFolder(dir, copy)
    appendReadings(wal, 'a', 3)
    const last = segmentsIn(dir).at(-1)!
    copyFileSync(join(dir, last), join(copy, last))
    appendReadings(wal, 'a', 3)
    letTheClockTick(join(dir, '..'))
    crash(dir)
    copyFolder(copy, dir)
    const restored = openWal(dir)
    expect(restored.epoch).not.toBe(wal.epoch)
    expect(restored.renewed).toMatch(/attested/)
  })

  test('W1: its last segment removed and the witnesses of the closed one before it restored', async () => {
    const dir = join(tempDir(), 'log')
    const wal = openWal(dir)
    const witnesses = new Map<string, string>()
    for (let i = 0; i < 10; i += 1) {
      appendReadings(wal, 'a', 10)
      const last = segmentsIn(dir).at(-1)!
      witnesses.set(last, `${dir}-${last}`)
      copyFolder(dir, witnesses.get(last)!)
    }
    letTheClockTick(join(dir, '..'))
    crash(dir)
    rmSync(join(dir, segmentsIn(dir).at(-1)!))
    const from = witnesses.get(segmentsIn(dir).at(-1)!)!
    for (const name of ['witness', 'witness.2']) copyFileSync(join(from, name), join(dir, name))
    const again = openWal(dir)
    expect(again.epoch).not.toBe(wal.epoch)
    expect(again.renewed).toMatch(/bytes/)
    await again.close()
  })

  test('W3: a hole in the middle of the log is named when it is read, not skipped', () => {
    const { dir } = killedLog(0)
    rmSync(join(dir, segmentsIn(dir)[1]))
    const wal = openWal(dir)
    expect(() => send(wal, new Map())).toThrow(
      expect.objectContaining({ code: 'WAL_CORRUPT', message: expect.stringContaining('missing') }),
    )
  })

  test('W1: whatever is cut, removed or restored from older copies, no (sensor, epoch, seq) names two readings', async () => {
    const round = fc.record({
      append: fc.integer({ min: 1, max: 40 }),
      copied: fc.constantFrom('no', 'at once', 'while it was written'),
      ending: fc.constantFrom('killed', 'killed', 'closed', 'closed and rebooted', 'power cut'),
      appendAfter: fc.integer({ min: 0, max: 40 }),
      sent: fc.constantFrom('no', 'sent', 'sent', 'acknowledged'),
      damage: fc.constantFrom('none', 'restore some', 'restore all', 'remove', 'cut'),
      copy: fc.nat(),
      mask: fc.nat({ max: 255 }),
      cut: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    await checkAsync(
      fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 6 }), async (rounds) => {
        const folder = new DamagedFolder()
        for (const { append, copied, appendAfter, sent, ending, damage, copy, mask, cut } of rounds) {
          folder.append(append)
          folder.copy(copied)
          folder.append(appendAfter)
          if (sent !== 'no' && !folder.send(sent === 'acknowledged')) return
          letTheClockTick(join(folder.dir, '..'))
          await folder.end(ending)
          folder.damage(damage, copy, mask, cut)
          if (!folder.open()) return
        }
        folder.append(40)
        folder.send(false)
      }),
      25,
    )
  })
})

/** A log whose folder is copied, damaged and restored while every reading that was sent is remembered. */
class DamagedFolder {
  readonly #root = tempDir()
  readonly dir = join(this.#root, 'log')
  readonly #sent = new Map<string, number>()
  #boot = 0
  #wal = openWal(this.dir, { boot: 'boot-0' })
  #copies = 0
  #ts = 0

  append(count: number): void {
    const batch = makeBatch()
    for (let i = 0; i < count; i += 1) batch.add(this.#wal.lane('t/a'), makeReading('a', (this.#ts += 1)))
    this.#wal.append(batch)
  }

  /** @returns false when the log stops because of its damage, which is loud enough */
  send(acknowledged: boolean): boolean {
    try {
      send(this.#wal, this.#sent)
    } catch (error) {
      if ((error as { code?: string }).code !== 'WAL_CORRUPT') throw error
      return false
    }
    if (acknowledged) this.#wal.acknowledge(this.#wal.appended)
    return true
  }

  copy(how: 'no' | 'at once' | 'while it was written'): void {
    if (how === 'no') return
    const to = join(this.#root, `copy-${this.#copies}`)
    copyFolder(this.dir, to)
    this.#copies += 1
    if (how === 'at once') return
    this.append(3)
    for (const name of segmentsIn(this.dir)) copyFileSync(join(this.dir, name), join(to, name))
  }

  async end(how: 'killed' | 'closed' | 'closed and rebooted' | 'power cut'): Promise<void> {
    if (how.startsWith('closed')) await this.#wal.close()
    else crash(this.dir)
    if (how === 'closed and rebooted' || how === 'power cut') this.#boot += 1
  }

  damage(how: string, copy: number, mask: number, cut: number): void {
    const from = join(this.#root, `copy-${copy % Math.max(1, this.#copies)}`)
    const names = how.startsWith('restore') && this.#copies > 0 ? filesIn(from) : filesIn(this.dir)
    const some = names.filter((_, i) => ((mask >> (i % 8)) & 1) === 1)
    if (how === 'remove') for (const name of some) rmSync(join(this.dir, name))
    if (how === 'cut') cutTail(this.dir, cut)
    if (!how.startsWith('restore') || this.#copies === 0) return
    if (how === 'restore all') for (const name of filesIn(this.dir)) rmSync(join(this.dir, name))
    for (const name of how === 'restore all' ? names : some) copyFileSync(join(from, name), join(this.dir, name))
  }

  /** @returns false when damage stops the log: then it gives out no numbers at all */
  open(): boolean {
    try {
      this.#wal = openWal(this.dir, { boot: `boot-${this.#boot}` })
      return true
    } catch (error) {
      expect((error as { code: string }).code).toMatch(/^WAL_(CORRUPT|HEADER)$/)
      return false
    }
  }
}

function cutTail(dir: string, share: number): void {
  const file = join(dir, segmentsIn(dir).at(-1)!)
  const { size } = statSync(file)
  truncateSync(file, share === 1 ? size - 1 : Math.floor(size * share))
}

function overwrite(file: string): void {
  copyFileSync(file, `${file}.copy`)
  copyFileSync(`${file}.copy`, file)
  rmSync(`${file}.copy`)
  expect(existsSync(file)).toBe(true)
}
