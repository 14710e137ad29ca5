// What a request about the configuration may say: the version that a change was made from, and how long to wait for
// everybody to have applied it.
import { InputError } from '../../platform/errors.ts'
import type { ConfigState } from '../../platform/runtime-config/follower.ts'
import type { LostUpdate } from '../../platform/runtime-config/writer.ts'

/** Longer than any node takes, shorter than proxies wait. */
export const WAIT_MS_MAX = 60_000
const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 }

/** The entity tag of a version. */
export const tagOf = (version: number): string => `"${version}"`

/**
 * Reads If-Match.
 * @returns the version; null for `*`, which is whichever there is; undefined where the header is missing
 * @throws InputError
 */
export function versionOf(ifMatch: string | undefined): number | null | undefined {
  if (ifMatch === undefined) return undefined
  if (ifMatch.trim() === '*') return null
  const match = /^"?(\d{1,15})"?$/.exec(ifMatch.trim())
  if (match === null)
    throw new InputError('PARAMETER', 'If-Match', 'If-Match: expected the ETag of GET /config, such as "7", or *')
  return Number(match[1])
}

/** @throws InputError */
export function waitMsOf(query: Readonly<Record<string, unknown>>): number {
  for (const name of Object.keys(query))
    if (name !== 'wait') throw new InputError('PARAMETER', name, `${name} is not a parameter here; there is wait`)
  const { wait } = query
  if (wait === undefined) return 0
  const match = typeof wait === 'string' ? /^(\d{1,6})(ms|s|m)$/.exec(wait) : null
  const ms = match === null ? NaN : Number(match[1]) * UNITS_MS[match[2]]
  if (ms <= WAIT_MS_MAX) return ms
  throw new InputError('PARAMETER', 'wait', `wait: expected a duration such as 500ms or 30s, at most ${WAIT_MS_MAX} ms`)
}

/** @throws InputError where the body is not {"scopes": …} and nothing else */
export function scopesOf(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body) || !('scopes' in body))
    throw new InputError('CONFIG_INVALID', 'scopes', 'expected a JSON object with the member scopes')
  const other = Object.keys(body).find((name) => name !== 'scopes')
  if (other !== undefined)
    throw new InputError('CONFIG_INVALID', other.slice(0, 80), 'expected no member but scopes: the version is If-Match')
  return body.scopes
}

/**
 * Why a change was refused as a lost update. The newest version may be one that this process refuses, because it
 * contradicts the environment: reading it again would show the older one for ever.
 */
export function lostUpdateDetail({ current, message }: LostUpdate, { config, refused }: ConfigState): string {
  if (current <= config.version || refused === null) return message
  return `version ${current} is the newest, but is refused here (${refused}), so version ${config.version} is in force: mend the settings that it contradicts, or replace it whole by PUT /config with If-Match: *`
}
