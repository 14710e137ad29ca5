// Changes of the runtime configuration over the query API: read it, change it, write it back with the version that was
// read. Where somebody else has changed it meanwhile, the same change is made to what they have written.
import { setTimeout as delay } from 'node:timers/promises'
import { backoffMs } from '../../platform/backoff.ts'
import { PlumblineError } from '../../platform/errors.ts'
import { askQueryApi } from '../query-api.ts'

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
/** A write, beside what is waited for. */
const WRITE_MS = 30_000

export const readConfig = (env: Env): Promise<ConfigAnswer> => askQueryApi<ConfigAnswer>(env, '/config')

/**
 * @param change what is to become of the scopes
 * @param waitMs how long to wait for everybody to have applied it
 */
export async function changeConfig(
  env: Env,
  change: (scopes: Scopes) => Scopes,
  waitMs: number,
): Promise<ConfigAnswer> {
  for (let attempt = 0; ; attempt += 1) {
    const { version, scopes } = await readConfig(env)
    try {
      return await askQueryApi<ConfigAnswer>(env, `/config?wait=${waitMs}ms`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json', 'if-match': `"${version}"` },
        body: JSON.stringify({ scopes: change(scopes) }),
        timeoutMs: waitMs + WRITE_MS,
      })
    } catch (error) {
      const isLost = error instanceof PlumblineError && error.code === 'LOST_UPDATE'
      if (!isLost || attempt + 1 >= TRIES) throw error
      await delay(backoffMs(RETRY, attempt, Math.random))
    }
  }
}
