// The package `@tdengine/websocket` as far as tdengine-websocket.ts uses it, and how it is loaded. It is no dependency
// of Plumbline's: its types are declared here, after its source (several versions of 3.x), and it is required by name at run
// time, at once: nothing else runs meanwhile, so the listeners that exist afterwards and did not before are its own.
import { createRequire } from 'node:module'
import { ConfigError, messageOf } from '../../errors.ts'

export interface WsConfig {
  setUser(user: string): void
  setPwd(password: string): void
  /** For each message to the server, ms. */
  setTimeOut(ms: number): void
}

export interface WsResult {
  /** null: of a write. */
  getMeta(): readonly { readonly type: string }[] | null
  /** Integers of 64 bits and timestamps are BigInt, NULL is the text "NULL", doubles are rounded to 15 decimals. */
  getData(): readonly (readonly unknown[])[] | null
  getAffectRows(): number | null | undefined
  /** Of timestamps: 0 for ms, 1 for µs, 2 for ns. */
  getPrecision(): number | null | undefined
}

export interface WsSql {
  /** All rows, in the order of the answer; rejects with an error that has the server's `code`, or one of its own. */
  exec(sql: string): Promise<WsResult>
  /** `readyState` of its WebSocket. */
  state(): number
  /** Gives the connection back to the package's pool. */
  close(): Promise<void>
}

export interface WebSocketPackage {
  readonly WSConfig: new (url: string) => WsConfig
  sqlConnect(config: WsConfig): Promise<WsSql>
  /** Ends the connections in its pool; not those in use. */
  destroy(): void
  setLogLevel(level: string): void
}

const NAME = '@tdengine/websocket'
/** Where it hangs itself in: to end the process with work under way, and to have its log swallow what should end it. */
const EVENTS = ['SIGINT', 'SIGTERM', 'exit', 'beforeExit', 'uncaughtException', 'unhandledRejection']

/**
 * @param name other than the package: for tests
 * @throws ConfigError when it is not installed
 */
export function loadWebSocketPackage(name = NAME): WebSocketPackage {
  const before = new Set(EVENTS.flatMap((event) => process.rawListeners(event)))
  try {
    return createRequire(import.meta.url)(name) as WebSocketPackage
  } catch (error) {
    const isMissing = (error as { code?: unknown }).code === 'MODULE_NOT_FOUND'
    const found = isMissing ? 'is not installed' : `cannot be loaded (${messageOf(error)})`
    throw new ConfigError(
      `TDENGINE_URL begins with ws, which needs the package ${name}, and that ${found}: \`npm install ${NAME}\`, or give the address as http://host:6041`,
    )
  } finally {
    for (const event of EVENTS)
      for (const listener of process.rawListeners(event))
        if (!before.has(listener)) process.removeListener(event, listener as () => void)
  }
}
