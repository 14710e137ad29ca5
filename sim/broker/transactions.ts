// The transaction coordinator: ids, epochs, and the two phases of ending a transaction. The end is decided and answered
// immediately; its markers reach each log and the group's offsets a little later, each at its own time. Until then the
// next transaction waits, a reader sees some partitions before others, and the committed offset is still the old one
// (danger 2 of kafkajs), which is why it must only be read after fencing.
// Sources: org.apache.kafka.coordinator.transaction.TransactionCoordinator, KIP-98, KIP-890 (verification).
import type { CommittedOffset, OffsetCommit } from '../../platform/kafka/port.ts'
import { refused } from './errors.ts'
import type { PartitionLog } from './log.ts'

export interface Identity {
  readonly producerId: bigint
  readonly epoch: number
}

interface State {
  readonly producerId: bigint
  epoch: number
  timeoutMs: number
  phase: 'empty' | 'ongoing' | 'ending'
  /** How the last transaction ended, for a repeated end request. */
  last: 'commit' | 'abort' | null
  /** Counts transactions, so that a timeout ends only its own. */
  serial: number
  startMs: number
  logs: Set<PartitionLog>
  groups: Map<string, Map<string, OffsetCommit>>
}

/** What the coordinator needs of its broker. */
export interface TransactionContext {
  nowMs(): number
  /** Resolves after `ms` of broker uptime. */
  later(ms: number): Promise<void>
  /** Time until a marker arrives, ms. */
  markerMs(): number
  commitOffsets(group: string, offsets: readonly OffsetCommit[]): void
}

export const offsetKey = ({ topic, partition }: { topic: string; partition: number }): string => `${topic}/${partition}`
export type Offsets = Map<string, CommittedOffset>

export class Transactions {
  readonly #around: TransactionContext
  readonly #states = new Map<string, State>()
  #nextProducerId = 1000n

  constructor(around: TransactionContext) {
    this.#around = around
  }

  /**
   * A new epoch for the id; the former owner's transaction is aborted and the owner fenced.
   * @throws KafkaError CONCURRENT_TRANSACTIONS until that transaction has its markers
   */
  initProducerId(id: string, timeoutMs: number): Identity {
    const state = this.#states.get(id) ?? this.#create(id)
    if (state.phase === 'ongoing') {
      state.epoch += 1
      this.#end(state, false)
    }
    if (state.phase === 'ending') throw concurrent(id)
    state.epoch += 1
    state.timeoutMs = timeoutMs
    state.last = null
    return { producerId: state.producerId, epoch: state.epoch }
  }

  /** @throws KafkaError INVALID_PRODUCER_EPOCH, CONCURRENT_TRANSACTIONS */
  addPartitions(id: string, identity: Identity, logs: readonly PartitionLog[]): void {
    const state = this.#ongoing(id, identity)
    for (const log of logs) state.logs.add(log)
  }

  /** @throws KafkaError INVALID_PRODUCER_EPOCH, CONCURRENT_TRANSACTIONS */
  addGroup(id: string, identity: Identity, group: string): void {
    const state = this.#ongoing(id, identity)
    if (!state.groups.has(group)) state.groups.set(group, new Map())
  }

  /** @throws KafkaError INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE */
  sendOffsets(id: string, identity: Identity, group: string, offsets: readonly OffsetCommit[]): void {
    const pending = this.#current(id, identity).groups.get(group)
    if (pending === undefined) throw refused('INVALID_TXN_STATE', `group ${group} is not in the transaction of ${id}`)
    for (const offset of offsets) pending.set(offsetKey(offset), offset)
  }

  /**
   * A transactional batch may only be written within its transaction and by its owner.
   * @throws KafkaError INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE
   */
  verify(id: string, identity: Identity, log: PartitionLog): void {
    const state = this.#current(id, identity)
    if (state.phase !== 'ongoing' || !state.logs.has(log))
      throw refused('INVALID_TXN_STATE', `${log.topic}/${log.partition} is not in the transaction of ${id}`)
  }

  /** @throws KafkaError INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, CONCURRENT_TRANSACTIONS */
  end(id: string, identity: Identity, commit: boolean): void {
    const state = this.#current(id, identity)
    const wanted = commit ? 'commit' : 'abort'
    if (state.phase === 'ongoing') return this.#end(state, commit)
    if (state.last !== wanted) throw refused('INVALID_TXN_STATE', `${id} has no transaction to ${wanted}`)
    if (state.phase === 'ending') throw concurrent(id)
  }

  describe(producerId: bigint): { transactionalId: string | null; startMs: number } {
    for (const [transactionalId, state] of this.#states)
      if (state.producerId === producerId) return { transactionalId, startMs: state.startMs }
    return { transactionalId: null, startMs: 0 }
  }

  #create(id: string): State {
    const state: State = {
      producerId: this.#nextProducerId,
      epoch: -1,
      timeoutMs: 0,
      phase: 'empty',
      last: null,
      serial: 0,
      startMs: 0,
      logs: new Set(),
      groups: new Map(),
    }
    this.#nextProducerId += 1n
    this.#states.set(id, state)
    return state
  }

  /** The id's state, for its owner only. */
  #current(id: string, { epoch }: Identity): State {
    const state = this.#states.get(id)
    if (state === undefined || state.epoch !== epoch)
      throw refused('INVALID_PRODUCER_EPOCH', `epoch ${epoch} of ${id} has passed`)
    return state
  }

  /** The id's state within a transaction, which begins here if necessary. */
  #ongoing(id: string, identity: Identity): State {
    const state = this.#current(id, identity)
    if (state.phase === 'ending') throw concurrent(id)
    if (state.phase === 'empty') {
      state.phase = 'ongoing'
      state.serial += 1
      state.startMs = this.#around.nowMs()
      void this.#timeOut(state, state.serial)
    }
    return state
  }

  async #timeOut(state: State, serial: number): Promise<void> {
    await this.#around.later(state.timeoutMs)
    if (state.serial !== serial || state.phase !== 'ongoing') return
    state.epoch += 1
    this.#end(state, false)
  }

  #end(state: State, commit: boolean): void {
    const { logs, groups } = state
    state.phase = 'ending'
    state.last = commit ? 'commit' : 'abort'
    state.logs = new Set()
    state.groups = new Map()
    const { epoch } = state
    const markers = [...logs].map(async (log) => {
      await this.#around.later(this.#around.markerMs())
      log.mark(state.producerId, epoch, commit, this.#around.nowMs())
    })
    const offsets = [...groups].map(async ([group, pending]) => {
      await this.#around.later(this.#around.markerMs())
      if (commit) this.#around.commitOffsets(group, [...pending.values()])
    })
    void Promise.all([...markers, ...offsets]).then(() => (state.phase = 'empty'))
  }
}

const concurrent = (id: string): Error => refused('CONCURRENT_TRANSACTIONS', `the last transaction of ${id} is ending`)
