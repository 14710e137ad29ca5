// What became of dead letters. A record cannot be changed or removed singly, so each outcome is a record of its own in
// telemetry.dlq.marks, in the partition of its letter: key = the letter's place, value = JSON. An outcome is final: the
// first one counts. As ranges of offsets, marks take little memory however many there are.
import { z } from 'zod'
import { type Place, placeText, readPlace } from './letter.ts'
import { SeqSet } from '../seq-set.ts'

export type Outcome = 'replayed' | 'dropped'
export type LetterState = 'open' | Outcome

const markValue = z.object({ outcome: z.enum(['replayed', 'dropped']), to: z.string().optional() })

export interface Mark {
  readonly place: Place
  readonly outcome: Outcome
  /** Where the replay went: topic/partition. */
  readonly to?: string
}

/** @param to where the replay went: topic/partition */
export function markRecord(place: Place, outcome: Outcome, to?: string): { key: Buffer; value: Buffer } {
  return { key: Buffer.from(placeText(place)), value: Buffer.from(JSON.stringify({ outcome, to })) }
}

/** Null for a record that is no mark. */
export function readMark(key: Buffer | null, value: Buffer | null): Mark | null {
  const place = readPlace(key?.toString() ?? '')
  if (place === null || value === null) return null
  try {
    return { place, ...markValue.parse(JSON.parse(value.toString())) }
  } catch {
    return null
  }
}

export class Marks {
  readonly #sets = new Map<number, Record<Outcome | 'moved', SeqSet>>()

  add({ place: { partition, offset }, outcome, to }: Mark): void {
    if (this.stateOf({ partition, offset }) !== 'open') return
    this.#of(partition)[outcome].add(offset)
    if (to !== undefined && !to.endsWith(`/${partition}`)) this.#of(partition).moved.add(offset)
  }

  stateOf({ partition, offset }: Place): LetterState {
    const sets = this.#sets.get(partition)
    if (sets?.replayed.has(offset)) return 'replayed'
    return sets?.dropped.has(offset) ? 'dropped' : 'open'
  }

  /** Offsets of the partition's replayed letters. */
  replayed(partition: number): SeqSet {
    return this.#of(partition).replayed
  }

  /** Those of them that went into another partition: the one that their key belongs to. */
  moved(partition: number): SeqSet {
    return this.#of(partition).moved
  }

  #of(partition: number): Record<Outcome | 'moved', SeqSet> {
    const sets = this.#sets.get(partition) ?? { replayed: new SeqSet(), dropped: new SeqSet(), moved: new SeqSet() }
    this.#sets.set(partition, sets)
    return sets
  }
}
