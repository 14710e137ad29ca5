// Changes of the runtime configuration over the query API: read it, change it, write it back with the version that was
// read. If somebody else has changed it meanwhile, the same change is applied to their version.
import { retry } from '../../platform/retry.ts'
import { askQueryApi } from '../query-api.ts'
import { CommandError } from '../core/errors.ts'

export type Scopes = Readonly<Record<string, Readonly<Record<string, number>>>>

export interface ConfigMember {
  readonly node_id: string
  readonly kind: string
  readonly version: number
  readonly refused: string | null
}

export interface ConfigAnswer {
  readonly version: number
  readonly at: number
  readonly scopes: Scopes
  readonly applied: readonly ConfigMember[]
  readonly pending: readonly ConfigMember[]
}

type Env = Readonly<Record<string, string>>

const TRIES = 8
const RETRY = { baseMs: 50, capMs: 1_000 }
/** Deadline of a write, on top of the requested wait, ms. */
const WRITE_MS = 30_000

export const readConfig = (env: Env): Promise<ConfigAnswer> => askQueryApi<ConfigAnswer>(env, '/config')

/**
 * @param change makes the new scopes from the current ones
 * @param waitMs how long to wait until all members have applied it
 */
export async function changeConfig(
  env: Env,
  change: (scopes: Scopes) => Scopes,
  waitMs: number,
): Promise<ConfigAnswer> {
  const write = async (): Promise<ConfigAnswer> => {
    const { version, scopes } = await readConfig(env)
    return askQueryApi<ConfigAnswer>(env, `/config?wait=${waitMs}ms`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'if-match': `"${version}"` },
      body: JSON.stringify({ scopes: change(scopes) }),
      timeoutMs: waitMs + WRITE_MS,
    })
  }
  const isLost = (error: unknown): boolean => error instanceof CommandError && error.code === 'LOST_UPDATE'
  return retry(write, { backoff: RETRY, triesMax: TRIES, isRetriable: isLost })
}
