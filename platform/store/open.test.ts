import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../config.ts'
import { describeStore, openStore, storeExists } from './open.ts'

const folder = mkdtempSync(join(tmpdir(), 'plumbline-open-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('choosing a store', () => {
  it('says whether the store exists without making it, whatever store it is', async () => {
    const config = loadConfig({ SQLITE_FILE: join(folder, 'store.sqlite') })
    expect(await storeExists(config)).toBe(false)
    const store = openStore(config, 'write')
    expect(await storeExists(config)).toBe(false) // a file without tables
    await store.migrate()
    expect(await storeExists(config)).toBe(true)
    await store.close()
  })

  it('names the store by kind and place, without its password', () => {
    const tdengine = { STORE: 'tdengine', TDENGINE_URL: 'http://db.example:6041/plant', TDENGINE_PASSWORD: 'geheim' }
    expect(describeStore(loadConfig(tdengine))).toBe('the TDengine database plant on db.example:6041')
    expect(describeStore(loadConfig({ SQLITE_FILE: '/data/store.sqlite' }))).toBe('the SQLite file /data/store.sqlite')
  })
})
