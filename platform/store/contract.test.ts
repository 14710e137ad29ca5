// The contract, over each store that runs without a server.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { storeContract } from './contract.ts'
import { SqliteStore } from './sqlite/store.ts'

const folder = mkdtempSync(join(tmpdir(), 'plumbline-store-'))
let files = 0

storeContract('SQLite', async () => {
  files += 1
  const store = new SqliteStore({ file: join(folder, `${files}.sqlite`), access: 'write' })
  await store.migrate()
  return store
})

afterAll(() => rmSync(folder, { recursive: true }))
