// A write with a deadline. When it passes, the store is told to abort and the batch counts as an outage; whether it was
// stored is unknown, but writing it again changes nothing. Two writes never run at once: a store that
// does not even end what was aborted cannot be used by this process any more.
import type { Clock } from '../platform/clock.ts'
import { StoreError } from '../platform/errors.ts'
import type { Store, WriteBatch } from '../platform/store/port.ts'
import { StoreOutageError } from '../platform/store/store-errors.ts'
import { settlesWithin } from './patience.ts'

/** Enough to close a connection, not to wait for an answer. */
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
    throw new StoreError('STORE_STUCK', `a write is still running ${ABORT_GRACE_MS} ms after it was aborted`)
  const error = await ended
  if (error !== null) throw error
}
