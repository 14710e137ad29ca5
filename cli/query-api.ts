// Asks the query API of the running instance. A refusal is an error with the API's message; if it does not answer
// at all, the error says what to do.
import { loadConfig } from '../platform/config.ts'
import { messageOf } from '../platform/errors.ts'
import { queryApiUrl } from './addresses.ts'
import { CommandError } from './core/errors.ts'

const TIMEOUT_MS = 10_000

/** Options besides the path. */
interface Question {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly timeoutMs?: number
}

/**
 * @param path with its query: /cluster?max_staleness=1h
 * @throws PlumblineError UNREACHABLE, REFUSED; LOST_UPDATE for an answer 412
 */
export async function askQueryApi<T>(
  env: Readonly<Record<string, string>>,
  path: string,
  { method = 'GET', body, timeoutMs = TIMEOUT_MS, ...more }: Question = {},
): Promise<T> {
  const config = loadConfig(env)
  const base = queryApiUrl(config).replace(/\/+$/, '')
  const url = `${base}${path}`
  const token = config.API_TOKEN === undefined ? {} : { authorization: `Bearer ${config.API_TOKEN}` }
  const headers = { ...more.headers, ...token }
  let response
  try {
    response = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(timeoutMs) })
  } catch (error) {
    throw new CommandError(
      'UNREACHABLE',
      `the query API does not answer at ${base} (${messageOf((error as Error).cause ?? error)}): start it by "plumbline up", or set QUERY_API_URL`,
      { cause: error, retriable: true },
    )
  }
  const answer = (await response.json().catch(() => ({}))) as T & { detail?: string }
  if (response.ok) return answer
  throw new CommandError(
    response.status === 412 ? 'LOST_UPDATE' : 'REFUSED',
    `the query API answers ${response.status}: ${answer.detail ?? 'without a reason'}`,
    {
      retriable: response.status === 503,
    },
  )
}
