// Where a page of sensors ended: the `next` of one answer is the `after` of the following request. Base64url of JSON,
// since that survives being pasted into a URL as it is, whatever characters the names have.
import type { SensorRef } from '../../platform/store/port.ts'

/** Two names of the greatest length, each character escaped. */
export const CURSOR_CHARS_MAX = 8_192

export function cursorOf({ tenant, sensor }: SensorRef): string {
  const bytes = new TextEncoder().encode(JSON.stringify([tenant, sensor]))
  return bytes.toBase64({ alphabet: 'base64url', omitPadding: true })
}

/** Null: it is no cursor. */
export function sensorOfCursor(cursor: string): SensorRef | null {
  if (cursor.length > CURSOR_CHARS_MAX) return null
  try {
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: 'base64url' })
    const parts: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (!Array.isArray(parts) || parts.length !== 2) return null
    const [tenant, sensor] = parts as unknown[]
    return typeof tenant === 'string' && typeof sensor === 'string' ? { tenant, sensor } : null
  } catch {
    return null // not Base64, not UTF-8 or not JSON
  }
}
