// Long to wide: rows of one sensor and time become one reading, as far as they follow each other in the file. Open are
// only the readings of the time that is being read, so that memory is bounded by the sensors that share it.

export interface Part {
  readonly line: number
  readonly reading: Record<string, unknown>
}

/** More sensors at one time than this are passed on as they are. */
const OPEN_MAX = 10_000

export class Merger {
  readonly #open = new Map<string, Part>()
  #ts: unknown = null

  /** What is complete now that this part has come. */
  add(part: Part): Part[] {
    const { reading } = part
    const done = reading.ts !== this.#ts || this.#open.size >= OPEN_MAX ? this.flush() : []
    this.#ts = reading.ts
    const key = JSON.stringify([reading.tenant_id, reading.site_id, reading.node_id, reading.sensor_id])
    const open = this.#open.get(key)
    if (open === undefined) this.#open.set(key, part)
    else if (Object.keys(reading).some((name) => name in open.reading && !same(open.reading[name], reading[name]))) {
      // A second value of one metric: the first stays, and the second follows as a reading of its own.
      done.push(open)
      this.#open.set(key, part)
    } else Object.assign(open.reading, reading)
    return done
  }

  flush(): Part[] {
    const parts = [...this.#open.values()]
    this.#open.clear()
    return parts
  }
}

const same = (a: unknown, b: unknown): boolean => a === b || (typeof a === 'object' && typeof b === 'object')
