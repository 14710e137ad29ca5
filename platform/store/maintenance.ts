// Calls the store's upkeep in the background of the process that writes it: a step at a time, with pauses between
// them in which batches go in, so that neither a backlog nor a mass of old rows holds the sink up.
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../config.ts'
import { messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Retention, Store } from './port.ts'

/** Between the steps of a pass, ms: upkeep takes a fifth of the time, batches have the rest. */
const STEP_PAUSE_MS = 100
/** Between passes, ms: retention is counted in days, and quiet sensors need no haste. */
const PASS_PAUSE_MS = 60_000
const DAY_MS = 86_400_000

/** A day count of 0 means for ever. */
export function retentionOf(
  config: Pick<Config, 'STORE_KEEP_ROWS_D' | 'STORE_KEEP_1S_D' | 'STORE_KEEP_1M_D' | 'STORE_KEEP_1H_D'>,
): Retention {
  const ms = (days: number): number | null => (days === 0 ? null : days * DAY_MS)
  return {
    rows: ms(config.STORE_KEEP_ROWS_D),
    '1s': ms(config.STORE_KEEP_1S_D),
    '1m': ms(config.STORE_KEEP_1M_D),
    '1h': ms(config.STORE_KEEP_1H_D),
  }
}

/** Runs until it is stopped; a step that fails is logged and tried again with the next pass. */
export function startMaintenance(store: Store, keep: Retention, log: Logger): { stop(): Promise<void> } {
  const stopped = new AbortController()
  const running = run(store, keep, log, stopped.signal)
  return {
    stop: async () => {
      stopped.abort()
      await running
    },
  }
}

async function run(store: Store, keep: Retention, log: Logger, signal: AbortSignal): Promise<void> {
  if (store.maintain === undefined) return
  while (!signal.aborted) {
    let more = false
    try {
      more = await store.maintain(Date.now(), keep)
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'the upkeep of the store failed; it is tried again')
    }
    await delay(more ? STEP_PAUSE_MS : PASS_PAUSE_MS, undefined, { signal }).catch(() => undefined)
  }
}
