// Which reading is asked for, and whether a record is it. A reading that is numbered is one of its lane (sensor and epoch);
// one that is not is known by its event time.
import { sensorKey } from '../../../platform/codec/identity.ts'
import { InputError } from '../../../platform/errors.ts'

export interface Target {
  /** Record key, as latin1 text. */
  readonly key: string
  readonly tenant: string
  readonly sensor: string
  /** Null where it is not known. */
  readonly ts: number | null
  /** Null where it is not known, or the reading is not numbered. */
  readonly number: { readonly epoch: number; readonly seq: number } | null
}

export interface Numbered {
  readonly epoch: number
  readonly seq: number
  readonly ts: number
}

/** @param record of the target's key */
export function isTarget({ ts, number }: Target, record: Numbered): boolean {
  if (number !== null && number.epoch > 0 && record.epoch === number.epoch && record.seq === number.seq) return true
  return ts !== null && record.ts === ts
}

/**
 * Whether a record of the target's sensor is before it in the log (below 0), or not (0 and above), as far as numbers and
 * times tell. Both rise with the offsets, but for what comes out of order.
 */
export function compareTo({ ts, number }: Target, record: Numbered): number {
  if (number !== null && number.epoch > 0)
    return record.epoch === number.epoch ? record.seq - number.seq : record.epoch - number.epoch
  return record.ts - (ts ?? 0)
}

/** @throws InputError */
export function parseNumber(text: string): { epoch: number; seq: number } {
  const match = /^(\d{1,16}):(\d{1,16})$/.exec(text)
  if (match === null)
    throw new InputError('PARAMETER', 'seq', `"${text}" is not a number of a reading: expected <epoch>:<seq>`)
  return { epoch: Number(match[1]), seq: Number(match[2]) }
}

/** Ms since 1970, or ISO 8601 with a zone. @throws InputError */
export function parseTs(text: string): number {
  if (/^-?\d{1,15}$/.test(text)) return Number(text)
  const ms = /(?:[Zz]|[+-]\d\d:?\d\d)$/.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(ms))
    throw new InputError(
      'TIME',
      'ts',
      `"${text}" is not an event time: expected ms since 1970, or ISO 8601 such as 2026-01-31T12:00:00Z`,
    )
  return ms
}

export function targetOf(
  tenant: string,
  sensor: string,
  ts: number | null,
  number: { epoch: number; seq: number } | null,
): Target {
  const key = Buffer.from(sensorKey(tenant, sensor)).toString('latin1')
  return { key, tenant, sensor, ts, number: number === null ? null : { epoch: number.epoch, seq: number.seq } }
}
