// A store's file that is not what it was, and one that cannot be opened: noticed, and named.
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { AT, batch, clean } from '../contract-rows.ts'
import type { ProgressUpdate } from '../port.ts'
import { SqliteStore } from './store.ts'

const folder = mkdtempSync(join(tmpdir(), 'plumbline-replaced-'))
const opened: SqliteStore[] = []
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close()
})
afterAll(() => rmSync(folder, { recursive: true }))

const open = (file: string, access: 'write' | 'read'): SqliteStore => {
  const store = new SqliteStore({ file, access })
  opened.push(store)
  return store
}
const filled = async (file: string, times: readonly number[]): Promise<void> => {
  const store = new SqliteStore({ file, access: 'write' })
  await store.migrate()
  await store.write(batch(times.map((ts) => clean({ ts }))))
  await store.close()
}
const timesIn = async (store: SqliteStore): Promise<number[] | null> =>
  (await store.read((view) => view.recent(AT, 10)))?.map(({ ts }) => ts) ?? null
const step = (after: number | null, offset: number): ProgressUpdate => ({
  ...{ topic: 'telemetry.clean', partition: 0, throughMs: null, eventMs: null },
  after,
  offset,
})
/** Until the file is looked at again. */
const look = (): Promise<void> => delay(1_100)

describe('faults 9: a store file that is replaced while it is open', () => {
  it('is opened again by its readers, those of a read that was under way included', async () => {
    const file = join(folder, 'read.sqlite')
    await filled(file, [1, 2])
    await filled(join(folder, 'other.sqlite'), [7])
    const reader = open(file, 'read')
    expect(await timesIn(reader)).toEqual([2, 1])
    await reader.read(async () => {
      renameSync(join(folder, 'other.sqlite'), file)
      await look()
      expect(await timesIn(reader)).toEqual([7])
    })
    expect(await timesIn(reader)).toEqual([7])
    rmSync(file)
    await look()
    await expect(timesIn(reader)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringContaining(file) }) // prettier-ignore
    await filled(file, [9])
    await look()
    expect(await timesIn(reader)).toEqual([9])
  })

  it('takes no rows for which it does not have the progress: the sink starts again from what is there', async () => {
    const file = join(folder, 'write.sqlite')
    const sink = open(file, 'write')
    await sink.migrate()
    await sink.write(batch([clean({ ts: 1 })], [step(null, 5)]))
    rmSync(file)
    await look()
    await expect(sink.write(batch([clean({ ts: 2 })], [step(5, 6)]))).rejects.toMatchObject({ code: 'STORE_MOVED' })
    await sink.write(batch([clean({ ts: 1 }), clean({ ts: 2 })], [step(null, 6)]))
    expect(await timesIn(open(file, 'read'))).toEqual([2, 1])
  })
})

describe('faults 10: a store that cannot be opened says which file and why', () => {
  it.each<[string, (file: string) => void, string]>([
    ['missing', () => {}, 'unable to open database file (14); check that the folder exists'],
    ['a-folder', (file) => mkdirSync(file), 'disk I/O error (266)'],
    ['no-store', (file) => writeFileSync(file, 'x'.repeat(4_096)), 'this is not a store: check SQLITE_FILE'],
  ])('%s', async (name, make, words) => {
    const file = join(folder, name)
    make(file)
    const failure = timesIn(open(file, 'read'))
    await expect(failure).rejects.toThrow(words)
    await expect(failure).rejects.toThrow(`SQLite, ${file}: `)
  })

  it('security 14: in an impossible place ends at once, when it is set up', async () => {
    await expect(open('/proc/1/x/store.sqlite', 'write').migrate()).rejects.toThrow(
      'the store /proc/1/x/store.sqlite: ENO',
    )
  })

  it('security 15: nobody else may read it', async () => {
    const file = join(folder, 'rights', 'store.sqlite')
    await filled(file, [1])
    const modes = [join(folder, 'rights'), file].map((path) => (statSync(path).mode & 0o777).toString(8))
    expect(modes).toEqual(['700', '600'])
  })
})
