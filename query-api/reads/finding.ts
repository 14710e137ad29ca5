// What a read of the store finds, and how it becomes an answer: progress is read in the same consistent state as the
// data, so that what is said of their freshness is true of them.
import type { SensorRef, SeqCount, Store, StoreView } from '../../platform/store/port.ts'
import { completenessOf, type PartitionThrough, partitionsFor } from '../core/freshness.ts'

/** What a read depends on. */
interface Basis {
  /** Topics that it is made of. */
  readonly topics: readonly string[]
  /** The sensor that it is about; null: it depends on all partitions of the topics. */
  readonly sensor: SensorRef | null
}

export type Finding =
  /** `seqs`: of the sensors in the answer; see core/freshness.ts. */
  | (Basis & { readonly kind: 'found'; readonly body: Readonly<Record<string, unknown>>; readonly seqs: SeqCount })
  /** There is no such thing, which can be stale as well: it may have arrived and not be stored yet. */
  | (Basis & { readonly kind: 'absent'; readonly detail: string })

/** As it can be sent from one thread to another. */
export type ReadResult =
  | {
      readonly kind: 'found'
      readonly body: Readonly<Record<string, unknown>>
      readonly completeness: number | null
      readonly partitions: readonly PartitionThrough[]
    }
  | { readonly kind: 'absent'; readonly detail: string; readonly partitions: readonly PartitionThrough[] }

export async function runRead(store: Store, find: (view: StoreView) => Promise<Finding>): Promise<ReadResult> {
  const { progress, finding } = await store.read(async (view) => ({
    // First, so that where the store gives no consistent state the data are newer than what is said of them.
    progress: await view.progress(),
    finding: await find(view),
  }))
  const partitions = partitionsFor(progress, finding.topics, finding.sensor)
  switch (finding.kind) {
    case 'found':
      return { kind: 'found', body: finding.body, completeness: completenessOf(finding.seqs), partitions }
    case 'absent':
      return { kind: 'absent', detail: finding.detail, partitions }
  }
}
