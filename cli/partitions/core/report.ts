// Each partition of raw as refine has it: what it has committed, what is left, and whether it is stuck, with the next step.

export interface PartitionFacts {
  readonly partition: number
  readonly start: number
  /** Null: refine has not committed anything. */
  readonly committed: number | null
  readonly end: number
}

export type PartitionState = 'current' | 'moving' | 'stuck' | 'lost' | 'not begun'

export interface PartitionRow extends PartitionFacts {
  readonly lag: number
  readonly state: PartitionState
}

/** @param later the same partition some seconds later: an offset that has not moved although there is something to read is stuck */
export function rowOf(before: PartitionFacts, later: PartitionFacts): PartitionRow {
  const { committed, start, end } = later
  const lag = Math.max(0, end - (committed ?? start))
  return { ...later, lag, state: stateOf(before, later, lag) }
}

function stateOf(before: PartitionFacts, { committed, start }: PartitionFacts, lag: number): PartitionState {
  if (committed === null) return lag === 0 ? 'current' : 'not begun'
  if (committed < start) return 'lost'
  if (lag === 0) return 'current'
  // What came within the look may wait for its transaction: only what was there before it counts.
  return committed === before.committed && committed < before.end ? 'stuck' : 'moving'
}

/** @param reasons what the stream jobs say of themselves, where they can be asked */
export function adviceFor(rows: readonly PartitionRow[], reasons: readonly string[]): string[] {
  const names = (state: PartitionState): string =>
    rows
      .filter((row) => row.state === state)
      .map(({ partition, committed, start }) => `${partition} (at ${committed ?? start})`)
      .join(', ')
  const stuck = names('stuck')
  const lost = names('lost')
  const begun = names('not begun')
  const why = reasons.map((reason) => `stream jobs say: ${reason}`)
  return [
    ...(stuck === '' ? [] : [`stuck: ${stuck}; see the log of stream-jobs for the offset and the reason`]),
    ...(lost === '' ? [] : [`lost: ${lost}; records were removed before refine read them: see what the audit says`]),
    ...(begun === '' ? [] : [`not begun: ${begun}; are the stream jobs running? See "plumbline status"`]),
    ...why,
  ]
}
