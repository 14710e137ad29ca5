// How the core survives its own mistakes. An exception in the middle of a record leaves half of its changes behind, and
// saving the state before every record would cost more than the record. So the core begins without a net: an exception is
// a CoreFailure, and its owner restores the state and runs the records again carefully: the state of the record's sensor is
// then kept before each step, and a step that throws is undone to the last bit. The same records give the same states
// either way, since a careful step that does not throw does what any step does.
import { PlumblineError } from '../../../platform/errors.ts'
import type { DueQueue } from './due-queue.ts'
import { expectBalanced, type Ledger } from './ledger.ts'
import type { Outputs } from './outputs.ts'
import type { Sensor } from './sensor.ts'
import { deadlinesOf, restoreSensor, sensorState } from './sensor-state.ts'
import { METRICS } from '../../../schemas/metrics.ts'

/** Records that are run carefully after one on which the core threw: where there is one there may be more. */
export const CAREFUL_RECORDS = 10_000

/** The core threw, and its state is no longer that of any record: restore it, and run the records again carefully. */
export class CoreFailure extends PlumblineError<'CORE_FAILED'> {
  constructor(offset: number, cause: unknown) {
    super('CORE_FAILED', `refine's core threw at offset ${offset}: ${String(cause)}`, { cause, offset })
  }
}

/** What a step can change. */
export interface Changeable {
  readonly sensors: Map<string, Sensor>
  readonly ledger: Ledger
  readonly due: DueQueue
}

const SAME_PLACES = METRICS.map((_, place) => place)

/**
 * Runs a step that changes at most one sensor, the ledger and the outputs; one that throws, or leaves the ledger off,
 * changes nothing.
 * @returns what it threw; null if it went through
 */
export function attempt(
  core: Changeable,
  out: Outputs,
  sensorKey: string,
  step: () => void,
): { readonly error: unknown } | null {
  const { sensors, ledger, due } = core
  const former = sensors.get(sensorKey)
  const state = former === undefined ? null : sensorState(former)
  const counters = { ...ledger }
  out.mark()
  try {
    step()
    expectBalanced(ledger)
    return null
  } catch (error) {
    out.rollback()
    Object.assign(ledger, counters)
    if (state === null) sensors.delete(sensorKey)
    else {
      const sensor = restoreSensor(state, SAME_PLACES)
      sensors.set(sensorKey, sensor)
      // An entry that was taken out is put back; one that is there twice does no harm.
      for (const { deadline, epoch } of deadlinesOf(sensor)) due.add(deadline, sensorKey, epoch)
    }
    return { error }
  }
}
