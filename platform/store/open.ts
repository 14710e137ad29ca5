// Chooses the store by configuration. Rooms know the port and this function, never an adapter.
import type { Config } from '../config.ts'
import type { Store } from './port.ts'
import { SqliteStore } from './sqlite.ts'

/** @param access 'write' in the sink only: it migrates; everybody else reads */
export function openStore(config: Pick<Config, 'STORE' | 'SQLITE_FILE'>, access: 'write' | 'read'): Store {
  switch (config.STORE) {
    case 'sqlite':
      return new SqliteStore({ file: config.SQLITE_FILE, access })
  }
}
