// The contract and the adapter's migrations on a real TDengine server. It runs when TDENGINE_URL names one and is left
// out otherwise (vitest.config.ts), which `make test` says: the adapter has then been held to the recordings and to the
// stand-in alone. Each test has a database of its own and drops it.
import { describe, expect, it } from 'vitest'
import { METRICS } from '../../../schemas/metrics.ts'
import { loadConfig } from '../../config.ts'
import { batch, reading } from '../contract-rows.ts'
import { storeContract } from '../contract.ts'
import { openStore, openTransport } from '../open.ts'
import type { Store } from '../port.ts'
import { stateOf } from './layout.ts'
import { shifted } from './shift.test-support.ts'
import type { SqlTransport } from './transport.ts'
import { TdengineStore } from './store.ts'

const { TDENGINE_URL, TDENGINE_USERNAME, TDENGINE_PASSWORD, TDENGINE_PASSWORD_FILE } = process.env
const given = { TDENGINE_USERNAME, TDENGINE_PASSWORD, TDENGINE_PASSWORD_FILE }
const settings = loadConfig(given)
let databases = 0

const transport = (): SqlTransport => openTransport(TDENGINE_URL!, settings)
const newDatabase = (): string => `plumbline_test_${process.pid}_${(databases += 1)}`

async function drop(database: string): Promise<void> {
  const once = transport()
  for (const name of [database, stateOf(database)]) await once.query(`DROP DATABASE IF EXISTS ${name}`)
  await once.close()
}

async function freshStore(): Promise<Store> {
  const database = newDatabase()
  const store = new TdengineStore({ transport: transport(), database, access: 'write', settleMs: 0 })
  await store.migrate()
  const close = async (): Promise<void> => {
    await store.close()
    await drop(database)
  }
  return { ...shifted(store), close }
}

describe('TDengine', () => {
  storeContract('a server', freshStore)

  it('TA-11: migrates again without harm, adds a metric’s column, and keeps readers waiting until then', async () => {
    const database = newDatabase()
    const config = loadConfig({
      ...given,
      STORE: 'tdengine',
      TDENGINE_URL: `${new URL(TDENGINE_URL!).origin}/${database}`,
    })
    const reader = openStore(config, 'read')
    await expect(reader.read((view) => view.progress())).rejects.toMatchObject({ code: 'STORE_NOT_READY' })
    const before = new TdengineStore({ transport: transport(), database, access: 'write', metrics: METRICS.slice(1) })
    await before.migrate()
    await expect(reader.read((view) => view.progress())).rejects.toMatchObject({ code: 'STORE_NOT_READY' })
    await before.close()
    const writer = openStore(config, 'write')
    await writer.migrate()
    await writer.migrate()
    const now = Date.now()
    await writer.write(batch([{ reading: reading({ ts: now, [METRICS[0].name]: 1.5 }), version: 0 }]))
    const recent = await reader.read((view) => view.recent({ tenant: 't', sensor: 's' }, 1))
    expect(recent).toMatchObject([{ ts: now, metrics: { [METRICS[0].name]: 1.5 } }])
    await writer.close()
    await reader.close()
    await drop(database)
  })
})
