// What SQLite refuses, told apart on a real file: a trigger stands for a row that the table will never take.
import { mkdtempSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { batch, reading } from './contract-rows.ts'
import { SqliteStore } from './sqlite.ts'
import { StoreOutageError, StorePoisonError } from './store-errors.ts'

const folder = mkdtempSync(join(tmpdir(), 'plumbline-sqlite-errors-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('X-3: SQLite', () => {
  it('a row that breaks a constraint is poison, and nothing of its batch is stored', async () => {
    const file = join(folder, 'poison.sqlite')
    const store = new SqliteStore({ file, access: 'write' })
    await store.migrate()
    const db = new DatabaseSync(file)
    db.exec(
      `CREATE TRIGGER refuse BEFORE INSERT ON readings WHEN NEW.ts = 7 BEGIN SELECT RAISE(ABORT, 'no seven'); END`,
    )
    db.close()
    const rows = [6, 7, 8].map((ts) => ({ reading: reading({ ts }), version: 0 }))
    const refused = store.write(batch(rows))
    await expect(refused).rejects.toThrow(StorePoisonError)
    await expect(refused).rejects.toThrow('no seven')
    await store.write(batch([rows[0], rows[2]]))
    expect((await store.read((view) => view.totals())).readings).toBe(2)
    await store.close()
  })

  it('a file that another process has locked is an outage', async () => {
    const file = join(folder, 'locked.sqlite')
    const store = new SqliteStore({ file, access: 'write' })
    await store.migrate()
    const db = new DatabaseSync(file)
    db.exec('BEGIN IMMEDIATE')
    await expect(store.write(batch([{ reading: reading({ ts: 1 }), version: 0 }]))).rejects.toThrow(StoreOutageError)
    db.exec('ROLLBACK')
    db.close()
    await store.write(batch([{ reading: reading({ ts: 1 }), version: 0 }]))
    await store.close()
  })
})
