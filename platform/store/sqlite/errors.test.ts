// What SQLite refuses, told apart on a real file: a trigger stands for a row that the table will never take.
import { mkdtempSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { anomaly, batch, reading } from '../contract-rows.ts'
import { SqliteStore } from './store.ts'
import { StoreOutageError, StorePoisonError } from '../store-errors.ts'

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

  it('names every row that is at fault, readings and anomalies, and leaves nothing of the search behind', async () => {
    const file = join(folder, 'names.sqlite')
    const store = new SqliteStore({ file, access: 'write' })
    await store.migrate()
    // Row 4 is there already, and so is a later write than row 7.
    await store.write(batch([4, 7].map((ts) => ({ reading: reading({ ts }), version: ts }))))
    const db = new DatabaseSync(file)
    db.exec(`CREATE TRIGGER odd BEFORE INSERT ON readings WHEN NEW.ts % 2 = 1 BEGIN SELECT RAISE(ABORT, 'odd'); END;
      CREATE TRIGGER third BEFORE INSERT ON anomalies WHEN NEW.ts = 3 BEGIN SELECT RAISE(ABORT, 'third'); END`)
    const rows = [2, 3, 4, 5, 7].map((ts) => ({ reading: reading({ ts }), version: 0 }))
    rows.push({ reading: reading({ ts: 9, sensor_id: 'new' }), version: 0 })
    const refused = store.write({ ...batch(rows), anomalies: [2, 3].map((ts) => anomaly({ ts })) })
    await expect(refused).rejects.toMatchObject({
      code: 'STORE_POISON',
      refused: [
        { kind: 'reading', index: 1, reason: expect.stringContaining('odd') },
        { kind: 'reading', index: 3 },
        { kind: 'reading', index: 5 },
        { kind: 'anomaly', index: 1, reason: expect.stringContaining('third') },
      ],
    })
    await store.write(batch([rows[0]]))
    const totals = { sensors: 1, readings: 3, superseded: 0, anomalies: 0 }
    expect(await store.read((view) => view.totals())).toEqual(totals)
    // One that ends the whole transaction cannot be followed by others: the writer has to find them.
    db.exec(`DROP TRIGGER odd; CREATE TRIGGER all_over BEFORE INSERT ON readings WHEN NEW.ts = 5
      BEGIN SELECT RAISE(ROLLBACK, 'all over'); END`)
    await expect(store.write(batch(rows))).rejects.toMatchObject({ code: 'STORE_POISON', refused: [] })
    await store.write(batch(rows.slice(0, 2)))
    expect((await store.read((view) => view.totals())).readings).toBe(4)
    db.close()
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
