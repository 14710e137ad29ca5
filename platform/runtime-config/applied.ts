// Who has applied what: the acknowledgements of the configuration beside the heartbeats that say who is there. A member
// counts while it was heard of within the heartbeat time-out; of its two kinds of word the later one holds. Members are
// those that apply configuration: nodes and the processes of stream-jobs.
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import { followTable, type TableRecord } from '../kafka/topic-table.ts'
import type { Kafka } from '../kafka/port.ts'
import type { Logger } from '../log.ts'
import { DecodeError, FramedDecoder } from '../../schemas/framed-decoder.ts'
import type { FetchSchema } from '../../schemas/register.ts'
import { CONFIG_ACKS, NODES } from '../../schemas/topics.ts'
import { ackDecoder, type ConfigAck } from './codec.ts'

/** Kinds of members that apply configuration. */
const APPLYING: ReadonlySet<string> = new Set(['producer', 'stream-jobs'])
/** Twice as many as one process may simulate; those not heard of for longest are forgotten first. */
const MEMBERS_MAX = 20_000
const POLL_MS = 50
const REGISTRY_RETRY_MS = 500

interface Word {
  readonly version: number
  /** By the member's clock, ms. */
  readonly at: number
  readonly refused: string | null
}

interface Member {
  readonly kind: string
  readonly word: Word
  /** Monotonic time here; -Infinity after its last heartbeat. */
  readonly seenMono: number
}

export interface AppliedMember {
  readonly node: string
  readonly kind: string
  readonly version: number
  readonly refused: string | null
}

export interface Applied {
  readonly applied: readonly AppliedMember[]
  readonly pending: readonly AppliedMember[]
}

/** What is read of a heartbeat. */
interface Beat {
  readonly node_id: string
  readonly kind: string
  readonly at: number
  readonly final: boolean
  readonly config_version: number
}

/** The table itself; time is an argument. */
export class AppliedTable {
  readonly #members = new LRUCache<string, Member>({ max: MEMBERS_MAX })
  readonly #timeoutMs: number

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  heartbeat({ node_id, kind, at, final, config_version }: Beat, seenMono: number): void {
    if (!APPLYING.has(kind)) return
    const former = this.#members.get(node_id)
    const said: Word = { version: config_version, at, refused: null }
    // A heartbeat does not say what was refused: while it names the same version, that stays.
    const isNews = former === undefined || (at > former.word.at && config_version !== former.word.version)
    this.#members.set(node_id, {
      kind,
      word: isNews ? said : former.word,
      seenMono: final ? -Infinity : Math.max(seenMono, former?.seenMono ?? -Infinity),
    })
  }

  ack({ node_id, kind, version, at, refused }: ConfigAck, seenMono: number): void {
    if (!APPLYING.has(kind)) return
    const former = this.#members.get(node_id)
    const isNews = former === undefined || at >= former.word.at
    this.#members.set(node_id, {
      kind,
      word: isNews ? { version, at, refused } : former.word,
      seenMono: Math.max(seenMono, former?.seenMono ?? -Infinity),
    })
  }

  /** The member has taken its acknowledgement away: it is gone. */
  gone(nodeId: string): void {
    this.#members.delete(nodeId)
  }

  /** Those present, by whether they have applied `version`; each list by name. */
  of(version: number, nowMono: number): Applied {
    const present = [...this.#members.entries()]
      .filter(([, { seenMono }]) => nowMono - seenMono <= this.#timeoutMs)
      .map(([node, { kind, word }]) => ({ node, kind, version: word.version, refused: word.refused }))
      .sort((a, b) => (a.node < b.node ? -1 : 1))
    const { true: applied = [], false: pending = [] } = Object.groupBy(
      present,
      (member) => String(member.version >= version) as 'true' | 'false',
    )
    return { applied, pending }
  }
}

export interface AppliedOptions {
  readonly kafka: Kafka
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  readonly fetchSchema: FetchSchema
  /** Time without a word after which a member does not count, ms. */
  readonly timeoutMs: number
}

export class AppliedFollower {
  readonly #options: AppliedOptions
  readonly #table: AppliedTable
  readonly #acks: FramedDecoder<ConfigAck>
  readonly #beats: FramedDecoder<Beat>
  readonly #signal: AbortSignal
  #isCaughtUp = false

  constructor(options: AppliedOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.#table = new AppliedTable(options.timeoutMs)
    this.#acks = ackDecoder(options.fetchSchema)
    this.#beats = new FramedDecoder('heartbeat', options.fetchSchema)
    const { kafka, clock, random, log } = options
    const common = { kafka, clock, random, log }
    const acks = followTable({ ...common, topic: CONFIG_ACKS, onRecord: (record) => this.#onAck(record) }, signal)
    const beats = followTable({ ...common, topic: NODES, onRecord: (record) => this.#onHeartbeat(record) }, signal)
    void Promise.all([acks.caughtUp, beats.caughtUp]).then(() => (this.#isCaughtUp = true))
  }

  get isCaughtUp(): boolean {
    return this.#isCaughtUp
  }

  of(version: number): Applied {
    return this.#table.of(version, this.#options.clock.mono())
  }

  /** Waits until all that are there have applied the version, but no longer than given. */
  async wait(version: number, timeoutMs: number, signal: AbortSignal): Promise<Applied> {
    const { clock } = this.#options
    for (const deadline = clock.mono() + timeoutMs; ;) {
      const applied = this.of(version)
      if (applied.pending.length === 0 || clock.mono() >= deadline || signal.aborted) return applied
      await clock.sleep(POLL_MS, signal).catch(() => undefined)
    }
  }

  async #onAck(record: TableRecord): Promise<void> {
    if (record.value === null) return this.#table.gone(record.key)
    const ack = await this.#decode(this.#acks, record.value)
    if (ack !== null) this.#table.ack(ack, this.#seen(record))
  }

  async #onHeartbeat(record: TableRecord): Promise<void> {
    if (record.value === null) return
    const beat = await this.#decode(this.#beats, record.value)
    if (beat !== null) this.#table.heartbeat(beat, this.#seen(record))
  }

  /** What was there before us is as old as it says; what comes while we follow comes now, whatever the clocks say. */
  #seen({ timestampMs }: TableRecord): number {
    const { clock } = this.#options
    return this.#isCaughtUp ? clock.mono() : clock.mono() - Math.max(0, clock.now() - timestampMs)
  }

  /** Null for bytes that are none of ours; waits for the registry. */
  async #decode<T>(decoder: FramedDecoder<T>, value: Buffer): Promise<T | null> {
    while (!this.#signal.aborted) {
      try {
        return await decoder.decode(value)
      } catch (error) {
        if (error instanceof DecodeError) return null
        await this.#options.clock.sleep(REGISTRY_RETRY_MS, this.#signal).catch(() => undefined)
      }
    }
    return null
  }
}
