// Chooses the store by configuration. Rooms know the port and this function, never an adapter.
import type { Config } from '../config.ts'
import { ConfigError } from '../errors.ts'
import type { Store } from './port.ts'
import { SqliteStore } from './sqlite/store.ts'
import { RestTransport, type SqlTransport } from './tdengine/transport.ts'
import { WebSocketTransport } from './tdengine/websocket.ts'
import { TdengineStore } from './tdengine/store.ts'

/** What a fresh TDengine server takes from its user root. */
const FRESH_PASSWORD = 'taosdata'

type StoreConfig = Pick<Config, 'STORE' | 'SQLITE_FILE' | 'TDENGINE_URL' | 'TDENGINE_USERNAME' | 'TDENGINE_PASSWORD'>

/** @param access 'write' in the sink only: it migrates; everybody else reads */
export function openStore(config: StoreConfig, access: 'write' | 'read'): Store {
  switch (config.STORE) {
    case 'sqlite':
      return new SqliteStore({ file: config.SQLITE_FILE, access })
    case 'tdengine':
      return openTdengine(config, access)
  }
}

function openTdengine(config: StoreConfig, access: 'write' | 'read'): Store {
  const { TDENGINE_URL: address } = config
  if (address === undefined) throw new ConfigError('STORE is tdengine, which needs TDENGINE_URL')
  const database = new URL(address).pathname.slice(1) || 'plumbline'
  return new TdengineStore({ transport: openTransport(address, config), database, access })
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
