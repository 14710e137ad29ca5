// What became of each raw record of one reading, by what was found in the topics after it. Clean and late have the value
// bytes of raw, and letters name their record's offset, so that a record is tied to its outcome without guessing.

export interface Found {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Arrival in the topic, ms. */
  readonly timeMs: number
  readonly epoch: number
  readonly seq: number
  readonly ts: number
  readonly value: Buffer
  /** Of a record in late: why it is there. */
  readonly reason?: string
  /** Of a record in raw: the dead letter that it repeats. */
  readonly replayOf?: string
}

export interface FoundLetter {
  readonly place: string
  readonly key: Buffer | null
  readonly timeMs: number
  readonly from: { readonly topic: string; readonly partition: number; readonly offset: number }
  readonly stage: string
  readonly reason: string
  readonly message: string
  readonly state: 'open' | 'replayed' | 'dropped'
  /** When it was marked, ms; null where it is open, or the mark is gone. */
  readonly markedMs: number | null
}

export type Fate =
  | { readonly kind: 'clean'; readonly to: Found }
  | { readonly kind: 'late'; readonly to: Found }
  | { readonly kind: 'dead letter'; readonly letter: FoundLetter }
  | { readonly kind: 'duplicate'; readonly of: Found }
  /** Refine has not read it yet. */
  | { readonly kind: 'waiting' }
  /** Refine has read it and holds it, or its outcome is not kept any more. */
  | { readonly kind: 'open' }

/**
 * @param raws in order of their offsets
 * @param isRead whether refine has read as far as a record
 */
export function fatesOf(
  raws: readonly Found[],
  cleans: readonly Found[],
  lates: readonly Found[],
  letters: readonly FoundLetter[],
  isRead: (raw: Found) => boolean,
): Fate[] {
  const [freeCleans, freeLates] = [[...cleans], [...lates]]
  const placed: Found[] = []
  return raws.map((raw) => {
    const letter = letters.find(({ from }) => isPlace(from, raw))
    if (letter !== undefined) return { kind: 'dead letter', letter }
    const clean = take(freeCleans, raw)
    if (clean !== null) {
      placed.push(raw)
      return { kind: 'clean', to: clean }
    }
    const late = take(freeLates, raw)
    if (late !== null) {
      placed.push(raw)
      return { kind: 'late', to: late }
    }
    if (!isRead(raw)) return { kind: 'waiting' }
    const of = placed.find((former) => former.value.equals(raw.value)) ?? placed.find((former) => isSame(former, raw))
    return of === undefined ? { kind: 'open' } : { kind: 'duplicate', of }
  })
}

const isPlace = (from: FoundLetter['from'], { topic, partition, offset }: Found): boolean =>
  from.topic === topic && from.partition === partition && from.offset === offset

/** The first with the same bytes that is not older. */
function take(candidates: Found[], { value, timeMs }: Found): Found | null {
  const at = candidates.findIndex((found) => found.timeMs >= timeMs && found.value.equals(value))
  return at < 0 ? null : candidates.splice(at, 1)[0]
}

const isSame = (a: Found, b: Found): boolean =>
  a.epoch > 0 || b.epoch > 0 ? a.epoch === b.epoch && a.seq === b.seq : a.ts === b.ts
