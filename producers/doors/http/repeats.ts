// A POST without numbers and without an Idempotency-Key that is sent again, as clients do when an answer was lost: its
// readings are what their sensors said last, so taking them again would change nothing but the counts. A body that equals
// an earlier one to the byte is a repeat unless another request has brought a reading of one of its sensors since: A, B, A
// ends as A. What is remembered is bounded and lives as long as the process; what is forgotten is taken again, which the
// store merges without a change. A client that needs more sends Idempotency-Key.
import { LRUCache } from 'lru-cache'
import type { StoredAnswer } from './idempotency.ts'

const BODIES_MAX = 1_000
/** Bodies with more sensors are not remembered: a repeat of one is taken again. */
const SENSORS_PER_BODY_MAX = 1_000
const SENSORS_MAX = 100_000
/** Who lost an answer asks again a few times; who sends one body on and on wants it to be taken. */
const REPEATS_MAX = 5

interface Body {
  readonly answer: StoredAnswer
  readonly sensors: ReadonlySet<string>
  readonly request: number
  /** How often it was sent again. */
  repeats: number
}

export class Repeats {
  /** Readings of repeated requests, which were not taken again. */
  readings = 0
  readonly #bodies = new LRUCache<string, Body>({ max: BODIES_MAX })
  /** Which request brought a sensor's latest readings. */
  readonly #latest = new LRUCache<string, number>({ max: SENSORS_MAX })
  #requests = 0

  /** The answer of the request that this one repeats; null: it is none. */
  find(digest: string): StoredAnswer | null {
    const body = this.#bodies.get(digest)
    if (body === undefined) return null
    for (const sensor of body.sensors) if (this.#latest.get(sensor) !== body.request) return null
    body.repeats += 1
    return body.repeats > REPEATS_MAX ? null : body.answer
  }

  /**
   * After readings of these sensors came into the log.
   * @param answer null where a repeat must be taken: the body was not read to its end, or its readings have numbers of their own
   */
  taken(digest: string, sensors: ReadonlySet<string>, answer: StoredAnswer | null): void {
    this.#requests += 1
    for (const sensor of sensors) this.#latest.set(sensor, this.#requests)
    const { repeats } = this.#bodies.get(digest) ?? { repeats: 0 }
    if (answer === null || sensors.size > SENSORS_PER_BODY_MAX) this.#bodies.delete(digest)
    else this.#bodies.set(digest, { answer, sensors, request: this.#requests, repeats })
  }
}
