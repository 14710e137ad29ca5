// One assigned partition as the sink knows it: which of four states it is in, and how far it has come. Everything that
// happens to a partition is an event of the table below, and nothing else changes it, so anyone who holds one can rely on
// what its state says.
//
//   seeking → reading    the store has returned its offset, and the consumer reads from there
//   reading ⇄ writing    a batch waits for the store or is being written; one at a time, so memory is bounded
//   any     → revoked    the partition may be another sink's: nothing more of it is written. There is no way back; when
//                        the partition returns it is a new SinkPartition.
//
// An event that comes too late (the partition is revoked) changes nothing; one that can only be a bug throws.
import type { TopicPartition } from '../../platform/kafka/port.ts'
import type { Mark } from './marks.ts'

/** How far a partition has come. */
export interface Advance {
  /** Offset in the store; null: the store has no row for the partition yet. */
  readonly stored: number | null
  /** Next offset to read; beyond `stored` only by a tail that holds no records. */
  readonly position: number
  /** Everything that had arrived by then is stored; null: not known yet. */
  readonly throughMs: number | null
  readonly marks: readonly Mark[]
  /** When progress was last written, ms; -Infinity: never. */
  readonly savedMs: number
}

export type PartitionState =
  | { readonly kind: 'seeking' }
  | ({ readonly kind: 'reading' } & Advance)
  | ({ readonly kind: 'writing' } & Advance)
  | { readonly kind: 'revoked' }

export type PartitionEvent =
  /** The store's progress was read; `stored` null: it has none, and reading begins at `position`. */
  | { readonly kind: 'found'; readonly stored: number | null; readonly position: number; readonly throughMs: number | null } // prettier-ignore
  /** A batch was handed to the writer. */
  | { readonly kind: 'submitted' }
  /** The store has taken progress up to `offset`. */
  | { readonly kind: 'saved'; readonly offset: number; readonly nowMs: number }
  /** The batch is in the store, or never will be. */
  | { readonly kind: 'settled' }
  /** There is no record between the position and `offset`. */
  | { readonly kind: 'passed'; readonly offset: number }
  /** The log was looked at; `throughMs` null: no newer time was reached. */
  | { readonly kind: 'looked'; readonly marks: readonly Mark[]; readonly throughMs: number | null }
  | { readonly kind: 'revoked' }

const REVOKED: PartitionState = { kind: 'revoked' }

/** The state after the event. Throws for an event that cannot happen in the state. */
export function nextState(state: PartitionState, event: PartitionEvent): PartitionState {
  if (state.kind === 'revoked' || event.kind === 'revoked') return REVOKED
  if (state.kind === 'seeking') return afterSeeking(event)
  switch (event.kind) {
    case 'found':
      throw impossible(state, event)
    case 'submitted':
      if (state.kind === 'writing') throw impossible(state, event)
      return { ...state, kind: 'writing' }
    case 'saved': {
      // The step of a quiet partition may be answered after its position has advanced.
      const position = Math.max(state.position, event.offset)
      return { ...state, stored: event.offset, position, savedMs: event.nowMs }
    }
    case 'settled':
      if (state.kind === 'reading') throw impossible(state, event)
      return { ...state, kind: 'reading' }
    case 'passed':
      // While a batch is being written, its own end decides.
      if (state.kind === 'writing') return state
      return { ...state, position: Math.max(state.position, event.offset) }
    case 'looked':
      return { ...state, marks: event.marks, throughMs: event.throughMs ?? state.throughMs }
  }
}

function afterSeeking(event: Exclude<PartitionEvent, { kind: 'revoked' }>): PartitionState {
  switch (event.kind) {
    case 'found': {
      const { stored, position, throughMs } = event
      return { kind: 'reading', stored, position, throughMs, marks: [], savedMs: -Infinity }
    }
    case 'submitted':
    case 'saved':
    case 'settled':
    case 'passed':
    case 'looked':
      throw impossible({ kind: 'seeking' }, event)
  }
}

const impossible = (state: PartitionState, event: PartitionEvent): Error =>
  new Error(`a partition that is ${state.kind} cannot be ${event.kind}`)

/** Holds the state of one partition; the only place where it changes. */
export class SinkPartition {
  readonly topic: string
  readonly partition: number
  #state: PartitionState = { kind: 'seeking' }

  constructor({ topic, partition }: TopicPartition) {
    this.topic = topic
    this.partition = partition
  }

  get state(): PartitionState {
    return this.#state
  }

  /** "topic/partition" */
  get name(): string {
    return `${this.topic}/${this.partition}`
  }

  get isRevoked(): boolean {
    return this.#state.kind === 'revoked'
  }

  /** How far it has come; null while seeking and once revoked. */
  get advance(): (Advance & { readonly kind: 'reading' | 'writing' }) | null {
    const state = this.#state
    return state.kind === 'reading' || state.kind === 'writing' ? state : null
  }

  found(stored: number | null, position: number, throughMs: number | null): void {
    this.#happen({ kind: 'found', stored, position, throughMs })
  }

  submitted(): void {
    this.#happen({ kind: 'submitted' })
  }

  saved(offset: number, nowMs: number): void {
    this.#happen({ kind: 'saved', offset, nowMs })
  }

  settled(): void {
    this.#happen({ kind: 'settled' })
  }

  passed(offset: number): void {
    this.#happen({ kind: 'passed', offset })
  }

  looked(marks: readonly Mark[], throughMs: number | null): void {
    this.#happen({ kind: 'looked', marks, throughMs })
  }

  revoke(): void {
    this.#happen({ kind: 'revoked' })
  }

  #happen(event: PartitionEvent): void {
    this.#state = nextState(this.#state, event)
  }
}
