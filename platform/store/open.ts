// Chooses the store by configuration. Rooms know the port and these functions, never an adapter.
import { existsSync } from 'node:fs'
import type { Config } from '../config.ts'
import { ConfigError, StoreError } from '../errors.ts'
import type { Store } from './port.ts'
import { SqliteStore } from './sqlite/store.ts'
import { RestTransport, type SqlTransport } from './tdengine/transport.ts'
import { WebSocketTransport } from './tdengine/websocket.ts'
import { TdengineStore } from './tdengine/store.ts'

/** The password of root on a fresh TDengine server. */
const FRESH_PASSWORD = 'taosdata'

export type StoreConfig = Pick<
  Config,
  'STORE' | 'SQLITE_FILE' | 'TDENGINE_URL' | 'TDENGINE_USERNAME' | 'TDENGINE_PASSWORD'
> &
  Partial<
    Pick<
      Config,
      'TDENGINE_KEEP_D' | 'TDENGINE_VGROUPS' | 'TDENGINE_REPLICA' | 'TDENGINE_DURATION_D' | 'TDENGINE_CACHEMODEL'
    >
  >

/** @param access 'write' in the sink only, which migrates; everything else reads */
export function openStore(config: StoreConfig, access: 'write' | 'read'): Store {
  switch (config.STORE) {
    case 'sqlite':
      return new SqliteStore({ file: config.SQLITE_FILE, access })
    case 'tdengine':
      return openTdengine(config, access)
  }
}

/** False where no sink has set the store up yet: then there is nothing to read. Rejects when the store cannot be asked. */
export async function storeExists(config: StoreConfig): Promise<boolean> {
  if (config.STORE === 'sqlite' && !existsSync(config.SQLITE_FILE)) return false
  const store = openStore(config, 'read')
  try {
    await store.read(async () => {})
    return true
  } catch (error) {
    if (error instanceof StoreError && error.code === 'STORE_NOT_READY') return false
    throw error
  } finally {
    await store.close()
  }
}

/** Which store it is, for messages: kind and place, never a password. */
export function describeStore(config: StoreConfig): string {
  switch (config.STORE) {
    case 'sqlite':
      return `the SQLite file ${config.SQLITE_FILE}`
    case 'tdengine': {
      const { host } = new URL(addressOf(config))
      return `the TDengine database ${databaseOf(config)} on ${host}`
    }
  }
}

function addressOf({ TDENGINE_URL: address }: StoreConfig): string {
  if (address === undefined) throw new ConfigError('STORE is tdengine, which needs TDENGINE_URL')
  return address
}

const databaseOf = (config: StoreConfig): string => new URL(addressOf(config)).pathname.slice(1) || 'plumbline'

function openTdengine(config: StoreConfig, access: 'write' | 'read'): Store {
  return new TdengineStore({
    transport: openTransport(addressOf(config), config),
    database: databaseOf(config),
    access,
    settings: {
      keepDays: config.TDENGINE_KEEP_D,
      vgroups: config.TDENGINE_VGROUPS,
      replica: config.TDENGINE_REPLICA,
      durationDays: config.TDENGINE_DURATION_D,
      cacheModel: config.TDENGINE_CACHEMODEL,
    },
  })
}

/**
 * The scheme chooses: http and https are REST, ws and wss a WebSocket.
 * @throws ConfigError when the WebSocket's package is not installed
 */
export function openTransport(
  address: string,
  {
    TDENGINE_USERNAME: username,
    TDENGINE_PASSWORD: password = FRESH_PASSWORD,
  }: Pick<Config, 'TDENGINE_USERNAME' | 'TDENGINE_PASSWORD'>,
): SqlTransport {
  const { protocol, origin } = new URL(address)
  const Transport = protocol === 'ws:' || protocol === 'wss:' ? WebSocketTransport : RestTransport
  return new Transport({ origin, username, password })
}
