// Chooses the store by configuration. Rooms know the port and this function, never an adapter.
import type { Config } from '../config.ts'
import { ConfigError } from '../errors.ts'
import type { Store } from './port.ts'
import { SqliteStore } from './sqlite.ts'
import { RestTransport } from './tdengine-transport.ts'
import { TdengineStore } from './tdengine.ts'

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

function openTdengine(
  { TDENGINE_URL: address, TDENGINE_USERNAME: username, TDENGINE_PASSWORD: password = FRESH_PASSWORD }: StoreConfig,
  access: 'write' | 'read',
): Store {
  if (address === undefined) throw new ConfigError('STORE is tdengine, which needs TDENGINE_URL')
  const { origin, pathname } = new URL(address)
  const transport = new RestTransport({ origin, username, password })
  return new TdengineStore({ transport, database: pathname.slice(1) || 'plumbline', access })
}
