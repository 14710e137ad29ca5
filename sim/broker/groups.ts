// The coordinator of consumer groups: members, generations, sessions and committed offsets, by the classic protocol that
// kafkajs speaks. The first member (the leader) makes the assignment, following each member's options.
// Source: org.apache.kafka.coordinator.group (classic group), KIP-62.
import { type Claimant, ownerOf } from '../../platform/kafka/kafkajs/assigner.ts'
import { memberOf } from '../../platform/kafka/kafkajs/shared-assigner.ts'
import type { CommittedOffset, OffsetCommit, TopicPartition } from '../../platform/kafka/port.ts'
import { lineBroken, refused } from './errors.ts'
import { offsetKey } from './transactions.ts'

export interface JoinRequest {
  readonly memberId: string | null
  readonly client: string
  readonly topics: readonly string[]
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** Claim of a member that wants a single owner; null: shared. */
  readonly claim: number | null
}

export interface Joined {
  readonly memberId: string
  readonly generation: number
}

interface Waiting<T> {
  resolve(value: T): void
  reject(error: Error): void
}

interface Member {
  readonly id: string
  request: JoinRequest
  lastSeenMs: number
  joining: Waiting<Joined> | null
  syncing: Waiting<readonly TopicPartition[]> | null
  assigned: readonly TopicPartition[]
}

/** What the coordinator needs of its broker. */
export interface GroupContext {
  monoMs(): number
  later(ms: number): Promise<void>
  /** Suffix of a member's id: random, since it decides the order of assignment. */
  suffix(): string
  partitionsOf(topics: readonly string[]): TopicPartition[]
}

export class Group {
  readonly #around: GroupContext
  readonly #members = new Map<string, Member>()
  readonly #offsets = new Map<string, CommittedOffset>()
  #phase: 'empty' | 'joining' | 'syncing' | 'stable' = 'empty'
  #generation = 0
  #round = 0

  constructor(around: GroupContext) {
    this.#around = around
  }

  committed(at: TopicPartition): CommittedOffset | null {
    return this.#offsets.get(offsetKey(at)) ?? null
  }

  /** Writes offsets as they come from a transaction's end. */
  store(offsets: readonly OffsetCommit[]): void {
    for (const at of offsets) this.#offsets.set(offsetKey(at), { offset: at.offset, metadata: at.metadata })
  }

  /** A member's commit. @throws KafkaError UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS */
  commit(memberId: string, generation: number, offsets: readonly OffsetCommit[]): void {
    this.#seen(memberId, generation)
    if (this.#phase === 'syncing') throw rebalancing()
    this.store(offsets)
  }

  /** Resolves when every member has joined or was dropped. @throws KafkaError UNKNOWN_MEMBER_ID */
  join(request: JoinRequest): Promise<Joined> {
    const known = request.memberId === null ? undefined : this.#members.get(request.memberId)
    if (request.memberId !== null && known === undefined) throw unknown(request.memberId)
    const member = known ?? this.#add(request)
    member.request = request
    member.lastSeenMs = this.#around.monoMs()
    return new Promise((resolve, reject) => {
      member.joining?.reject(rebalancing())
      member.joining = { resolve, reject }
      if (this.#phase !== 'joining') this.#rebalance()
      this.#completeWhenAll()
    })
  }

  /** Resolves with the member's partitions once the leader has synced. @throws KafkaError, as `commit` */
  sync(memberId: string, generation: number): Promise<readonly TopicPartition[]> {
    const member = this.#seen(memberId, generation)
    if (this.#phase === 'joining') throw rebalancing()
    if (this.#phase === 'stable') return Promise.resolve(member.assigned)
    return new Promise((resolve, reject) => {
      member.syncing = { resolve, reject }
      const [leader] = this.#members.keys()
      if (memberId === leader) this.#assign()
    })
  }

  /** @throws KafkaError, as `commit` */
  heartbeat(memberId: string, generation: number): void {
    this.#seen(memberId, generation)
    if (this.#phase === 'joining') throw rebalancing()
  }

  leave(memberId: string): void {
    if (this.#members.delete(memberId)) this.#departed()
  }

  /** A restarted broker knows its members, but their pending requests are gone, and they rejoin. */
  restarted(): void {
    for (const member of this.#members.values()) {
      member.lastSeenMs = this.#around.monoMs()
      member.joining?.reject(lineBroken('KafkaJSConnectionClosedError', 'JoinGroup'))
      member.syncing?.reject(lineBroken('KafkaJSConnectionClosedError', 'SyncGroup'))
      member.joining = null
      member.syncing = null
    }
    if (this.#members.size > 0) this.#rebalance()
  }

  #add(request: JoinRequest): Member {
    const id = `${request.client}-${this.#around.suffix()}`
    const member: Member = {
      id,
      request,
      lastSeenMs: this.#around.monoMs(),
      joining: null,
      syncing: null,
      assigned: [],
    }
    this.#members.set(id, member)
    void this.#watch(member)
    return member
  }

  /** Removes a member that has not been heard from for its session timeout. */
  async #watch(member: Member): Promise<void> {
    while (this.#members.get(member.id) === member) {
      const { sessionTimeoutMs } = member.request
      const left = Math.ceil(member.lastSeenMs + sessionTimeoutMs - this.#around.monoMs())
      const waits = member.joining !== null || member.syncing !== null
      if (left <= 0 && !waits) {
        this.#members.delete(member.id)
        this.#departed()
        return
      }
      await this.#around.later(waits ? sessionTimeoutMs : left)
    }
  }

  #departed(): void {
    if (this.#phase === 'joining') this.#completeWhenAll()
    else if (this.#members.size === 0) this.#phase = 'empty'
    else this.#rebalance()
  }

  #rebalance(): void {
    this.#phase = 'joining'
    this.#round += 1
    for (const member of this.#members.values()) {
      member.syncing?.reject(rebalancing())
      member.syncing = null
    }
    void this.#giveUp(this.#round)
  }

  /** Removes members that have not rejoined within the rebalance timeout. */
  async #giveUp(round: number): Promise<void> {
    const timeoutMs = Math.max(...[...this.#members.values()].map(({ request }) => request.rebalanceTimeoutMs))
    await this.#around.later(timeoutMs)
    if (this.#round !== round || this.#phase !== 'joining') return
    for (const member of [...this.#members.values()]) if (member.joining === null) this.#members.delete(member.id)
    this.#completeWhenAll()
  }

  #completeWhenAll(): void {
    const members = [...this.#members.values()]
    if (members.length === 0) this.#phase = 'empty'
    if (members.length === 0 || members.some(({ joining }) => joining === null)) return
    this.#phase = 'syncing'
    this.#generation += 1
    for (const member of members) {
      member.lastSeenMs = this.#around.monoMs()
      member.joining!.resolve({ memberId: member.id, generation: this.#generation })
      member.joining = null
    }
  }

  #assign(): void {
    const members = [...this.#members.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
    const topics = [...new Set(members.flatMap(({ request }) => request.topics))]
    const partitions = this.#around.partitionsOf(topics)
    const owner = ownerIn(members)
    const ids = members.map(({ id }) => id)
    for (const member of members)
      member.assigned = partitions.filter(
        ({ partition }) => (owner?.memberId ?? memberOf(ids, partition)) === member.id,
      )
    this.#phase = 'stable'
    for (const member of members) {
      member.syncing?.resolve(member.assigned)
      member.syncing = null
    }
  }

  #seen(memberId: string, generation: number): Member {
    const member = this.#members.get(memberId)
    if (member === undefined) throw unknown(memberId)
    if (generation !== this.#generation)
      throw refused('ILLEGAL_GENERATION', `generation ${generation}; the group is at ${this.#generation}`)
    member.lastSeenMs = this.#around.monoMs()
    return member
  }
}

/** Who gets everything if members have claims. */
function ownerIn(members: readonly Member[]): Claimant | null {
  if (members.every(({ request }) => request.claim === null)) return null
  const claimants = members.map(({ id, request }) => ({ memberId: id, claim: request.claim ?? 0 }))
  return ownerOf(claimants as [Claimant, ...Claimant[]])
}

const rebalancing = (): Error => refused('REBALANCE_IN_PROGRESS', 'the group is rearranging itself')
const unknown = (id: string): Error => refused('UNKNOWN_MEMBER_ID', `the group has no member ${id}`)
