// What a request about the configuration may say: the version that a change was made from, and the new document.
import { InputError } from '../../platform/errors.ts'
import type { ConfigState } from '../../platform/runtime-config/follower.ts'
import type { LostUpdate } from '../../platform/runtime-config/writer.ts'

/** The entity tag of a version. */
export const tagOf = (version: number): string => `"${version}"`

/**
 * Reads If-Match.
 * @returns the version; null for `*`, whichever is the newest; undefined where the header is missing
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

/** @throws InputError where the body is not {"scopes": …} and nothing else */
export function scopesOf(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body) || !('scopes' in body))
    throw new InputError('CONFIG_INVALID', 'scopes', 'scopes is missing: expected {"scopes": {"fleet": {…}}}')
  const other = Object.keys(body).find((name) => name !== 'scopes')
  if (other !== undefined) {
    const shown = other.slice(0, 80)
    throw new InputError(
      'CONFIG_INVALID',
      shown,
      `${shown} is not a member here; there is scopes, and the version goes into If-Match`,
    )
  }
  return body.scopes
}

/**
 * Why a change was refused as a lost update. The newest version may be one that this process refuses, because it
 * contradicts the environment: reading it again would show the older one for ever.
 */
export function lostUpdateDetail({ current, message }: LostUpdate, { config, refused }: ConfigState): string {
  if (current <= config.version || refused === null) return message
  return `version ${current} is the newest, but it is refused here (${refused}), so version ${config.version} is in force: correct the settings that it contradicts, or replace it as a whole by PUT /config with If-Match: *`
}
