// Up to when is everything stored? A partition's `through` is a time T such that whatever had arrived in raw by T is
// in the store, as far as this partition of this topic goes. It is found by marks, without trusting any clock but our
// own. At T the end of raw is noted. Once refine has committed up to it, its outputs are in the topic, so the topic's
// end, read at a later look, comes after them; once the store has reached it, so is T. A quiet partition passes
// through all of this within two looks, so its `through` follows the clock; a stuck refine or sink holds it back.
//
// What refine holds back for order (at most its gap timeout) counts as arrived and not stored: see `completeness`.

export type Mark =
  /** Waits for refine to commit up to `rawEnd`. */
  | { readonly kind: 'arrived'; readonly atMs: number; readonly rawEnd: number }
  /** Refined. The topic's end counts from the next look: transaction markers may follow the commit by a moment. */
  | { readonly kind: 'refined'; readonly atMs: number }
  /** Waits for the store to reach `end`. */
  | { readonly kind: 'written'; readonly atMs: number; readonly end: number }

/** What was seen, in this order: the time, raw's end, refine's offset, the topic's end. */
export interface Look {
  readonly nowMs: number
  /** End of raw's log, including what an open transaction holds back: it has arrived. */
  readonly rawEnd: number
  /** Everything in raw below it is refined. */
  readonly refinedTo: number
  /** End of the topic's log, open transactions included: outputs may come after one. */
  readonly end: number
  /** Everything in the topic's partition below it is stored. */
  readonly stored: number
}

/** Pending marks per partition: at four looks a second they cover the usual two seconds with room. */
const MARKS_MAX = 16

/**
 * Takes a look at one partition.
 * @param marks oldest first
 * @returns the marks still pending, including a new one, and the newest time reached (null: none)
 */
export function takeLook(marks: readonly Mark[], look: Look): { marks: Mark[]; throughMs: number | null } {
  let throughMs: number | null = null
  const underway: Mark[] = []
  for (const before of marks) {
    const mark = advance(before, look)
    if (mark === null) throughMs = before.atMs
    else underway.push(mark)
  }
  if (underway.length < MARKS_MAX)
    underway.push(advance({ kind: 'arrived', atMs: look.nowMs, rawEnd: look.rawEnd }, look)!)
  return { marks: underway, throughMs }
}

/** One look moves a mark by any number of steps, but never from `arrived` beyond `refined`. Null: reached. */
function advance(mark: Mark, look: Look): Mark | null {
  switch (mark.kind) {
    case 'arrived':
      return look.refinedTo >= mark.rawEnd ? { kind: 'refined', atMs: mark.atMs } : mark
    case 'refined':
      return advance({ kind: 'written', atMs: mark.atMs, end: look.end }, look)
    case 'written':
      return look.stored >= mark.end ? null : mark
  }
}
