// What headers of raw records ask of the core. Control records change its behaviour at one point in its input: they
// are records of the raw partition with a header and no value; repeating one is harmless. Dead letters that are
// replayed may ask to be passed on to late.
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { CONTROL_HEADER, REPLAY_AS_HEADER } from '../../../schemas/refine.ts'
import { type CoreSettings, parseSettings, settingsText } from './settings.ts'

const SETTINGS_HEADER = 'plumbline.settings'
const OVERRULES_HEADER = 'plumbline.settings.overrules'

export type Control =
  /** Lets arrival time advance on a partition where nothing arrives. */
  | { readonly kind: 'tick' }
  | {
      readonly kind: 'settings'
      readonly settings: CoreSettings
      /** A version that topic config does not have: these settings replace it although theirs is lower. */
      readonly overrules?: number
    }

export function controlHeaders(control: Control): { key: string; value: string }[] {
  switch (control.kind) {
    case 'tick':
      return [{ key: CONTROL_HEADER, value: 'tick' }]
    case 'settings':
      return [
        { key: CONTROL_HEADER, value: 'settings' },
        { key: SETTINGS_HEADER, value: settingsText(control.settings) },
        ...(control.overrules === undefined ? [] : [{ key: OVERRULES_HEADER, value: String(control.overrules) }]),
      ]
  }
}

/**
 * @returns the control, null for an ordinary record, or `unknown` for an unrecognised control record
 */
export function readControl(batch: RecordBatch, index: number): Control | null | 'unknown' {
  if (!batch.hasHeaders(index)) return null
  const headers = new Map(batch.headers(index).map(({ key, value }) => [key, value?.toString('utf8') ?? '']))
  switch (headers.get(CONTROL_HEADER)) {
    case undefined:
      return null
    case 'tick':
      return { kind: 'tick' }
    case 'settings':
      try {
        return {
          kind: 'settings',
          settings: parseSettings(headers.get(SETTINGS_HEADER) ?? ''),
          overrules: Number(headers.get(OVERRULES_HEADER) ?? -1),
        }
      } catch {
        return 'unknown'
      }
    default:
      return 'unknown'
  }
}

/**
 * True for a replayed dead letter whose place in the order is already taken: the store refused it, or its
 * time or a metric was unacceptable. It bypasses the order, which would call it a duplicate, and is written by its ts.
 */
export const isReplayedAsLate = (batch: RecordBatch, index: number): boolean =>
  batch.hasHeaders(index) &&
  batch.headers(index).some(({ key, value }) => key === REPLAY_AS_HEADER && value?.toString() === 'late')
