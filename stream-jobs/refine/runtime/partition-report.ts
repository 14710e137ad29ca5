// What a process says of the partitions of raw that it owns, for `plumbline partitions`: where each is and what keeps it.
import type { Tasks } from './tasks.ts'
import { skipCommand, type Troubles } from './troubles.ts'

export interface OwnedPartition {
  readonly topic: string
  readonly partition: number
  /** The member that owns it. */
  readonly owner: string
  /** Null while it is being acquired. */
  readonly position: number | null
  readonly end: number | null
  /** Null while nothing keeps it. */
  readonly stuck: {
    readonly offset: number | null
    readonly since: string
    readonly reason: string
    /** What to do, and the command where there is one. */
    readonly help: string
  } | null
}

export function ownedPartitions(
  tasks: Tasks | null,
  troubles: Troubles,
  topic: string,
  owner: string,
): OwnedPartition[] {
  if (tasks === null) return []
  const stuckOf = (partition: number): OwnedPartition['stuck'] => {
    const trouble = troubles.of(partition)
    if (trouble === null) return null
    const { offset, cause: reason, help, sinceMs } = trouble
    const since = new Date(sinceMs).toISOString()
    if (offset < 0) return { offset: null, since, reason, help }
    return {
      offset,
      since,
      reason,
      help: `${help}; if this record alone is the cause: ${skipCommand(topic, partition, offset)}`,
    }
  }
  const running = tasks.running().map(({ partition, position, endOffset: end }) => ({ partition, position, end }))
  const acquiring = tasks.acquiring().map((partition) => ({ partition, position: null, end: null }))
  return [...running, ...acquiring].map((at) => ({ topic, owner, ...at, stuck: stuckOf(at.partition) }))
}
