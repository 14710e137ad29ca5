// Where the commands find the HTTP surfaces of the running pipeline: at the configured address, else where processes
// with the same settings listen on this machine.
import type { Config } from '../platform/config.ts'

/** Wildcard addresses: valid to listen on, but not to connect to. */
const ANYWHERE = new Set(['0.0.0.0', '::'])

export const queryApiUrl = (config: Config): string => config.QUERY_API_URL ?? here(config, config.QUERY_API_PORT)

export const producersUrl = (config: Config): string => config.PRODUCERS_URL ?? here(config, config.PRODUCERS_PORT)

function here({ LISTEN_HOST }: Config, port: number): string {
  const host = ANYWHERE.has(LISTEN_HOST) ? '127.0.0.1' : LISTEN_HOST
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
