// A write that has a deadline. When it passes, the store is told to abort and the batch counts as an outage of which it
// is not known whether it was stored; written again, it changes nothing. Two writes never run at once: a store that
// does not even end what was aborted cannot be used any further by this process.
import type { Clock } from '../platform/clock.ts'
import { StoreError } from '../platform/errors.ts'
import type { Store, WriteBatch } from '../platform/store/port.ts'
import { StoreOutageError } from '../platform/store/store-errors.ts'
import { settlesWithin } from './patience.ts'

/** For closing a connection, not for waiting on an answer. */
const ABORT_GRACE_MS = 5_000

/** Rejects as `Store.write` does, with STORE_TIMEOUT after the deadline, with STORE_STUCK when the write cannot be ended. */
export async function writeWithin(
  store: Pick<Store, 'write'>,
  batch: WriteBatch,
  timeoutMs: number,
  clock: Clock,
): Promise<void> {
  const controller = new AbortController()
  const written = store.write(batch, controller.signal)
  if (await settlesWithin(written, timeoutMs, clock)) return
  const timeout = new StoreOutageError(`no answer within ${timeoutMs} ms`, {}, 'STORE_TIMEOUT')
  controller.abort(timeout)
  const ended = written.then(
    () => null,
    () => timeout,
  )
  if (!(await settlesWithin(ended, ABORT_GRACE_MS, clock)))
    throw new StoreError('STORE_STUCK', `a write goes on ${ABORT_GRACE_MS} ms after it was aborted`)
  const error = await ended
  if (error !== null) throw error
}
