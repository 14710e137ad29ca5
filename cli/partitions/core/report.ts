// Each partition of raw as refine has it: who owns it, what it has committed, what is left, and whether it is stuck, since
// when, where and why, with the command that helps.

export interface PartitionFacts {
  readonly partition: number
  readonly start: number
  /** Null: refine has not committed anything. */
  readonly committed: number | null
  /** First offset that the next owner needs; below `committed` where it would have to replay. */
  readonly needed: number | null
  readonly end: number
}

export type PartitionState = 'current' | 'moving' | 'stuck' | 'lost' | 'not begun'

/** What the owner says keeps the partition. */
export interface Stuck {
  readonly offset: number | null
  readonly since: string
  readonly reason: string
  readonly help: string
}

/** As the stream jobs report it. */
export interface Owned {
  readonly partition: number
  readonly owner: string
  readonly stuck: Stuck | null
}

export interface PartitionRow extends PartitionFacts {
  /** Null where no process says that it owns it. */
  readonly owner: string | null
  readonly lag: number
  readonly state: PartitionState
  readonly stuck: Stuck | null
}

/** @param later the same partition some seconds later: an offset that has not moved although there is something to read is stuck */
export function rowOf(before: PartitionFacts, later: PartitionFacts, owned: Owned | null = null): PartitionRow {
  const { committed, start, end } = later
  const lag = Math.max(0, end - (committed ?? start))
  const state = stateOf(before, later, lag, owned?.stuck ?? null)
  return { ...later, owner: owned?.owner ?? null, lag, state, stuck: owned?.stuck ?? null }
}

function stateOf(
  before: PartitionFacts,
  { committed, needed, start }: PartitionFacts,
  lag: number,
  stuck: Stuck | null,
): PartitionState {
  if (committed === null) return lag === 0 ? 'current' : 'not begun'
  if ((needed ?? committed) < start) return 'lost'
  if (lag === 0) return 'current'
  if (stuck !== null) return 'stuck'
  // What came within the look may wait for its transaction: only what was there before it counts.
  return committed === before.committed && committed < before.end ? 'stuck' : 'moving'
}

/**
 * @param topic of the partitions
 * @param reasons what the stream jobs say of themselves, where they can be asked
 */
export function adviceFor(topic: string, rows: readonly PartitionRow[], reasons: readonly string[]): string[] {
  const told = rows.flatMap(({ partition, state, stuck, committed, start, needed }) => {
    const name = `${topic}/${partition}`
    switch (state) {
      case 'stuck':
        return stuck === null
          ? [`${name} is stuck at offset ${committed ?? start}; the log of stream-jobs has the reason`]
          : [
              `${name} is stuck at offset ${stuck.offset ?? committed ?? start} since ${stuck.since}: ${stuck.reason}; ${stuck.help}`,
            ]
      case 'lost': {
        const lost =
          (committed ?? start) < start
            ? `offsets ${committed} to ${start - 1} were removed before refine read them`
            : `offsets ${needed} to ${start - 1} were removed, which refine needs to restore its state`
        return [`${name}: ${lost}; to continue without them: plumbline partitions accept-loss ${topic} ${partition}`]
      }
      case 'not begun':
        return [`${name} has not begun at offset ${start}; are the stream jobs running? See "plumbline status"`]
      case 'current':
      case 'moving':
        return []
    }
  })
  return [...told, ...reasons.map((reason) => `stream jobs say: ${reason}`)]
}
