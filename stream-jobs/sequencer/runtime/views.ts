// The leader's side of membership for as long as it leads: it follows the heartbeats and says when a view is due. The
// sequencer publishes it in its own transactions, since the topic of views has one transactional writer.
import type { Clock } from '../../../platform/clock.ts'
import { messageOf } from '../../../platform/errors.ts'
import type { Kafka } from '../../../platform/kafka/port.ts'
import type { Logger } from '../../../platform/log.ts'
import { followDecoded } from '../../../platform/membership/decoded-table.ts'
import type { FramedDecoder } from '../../../platform/codec/framed-decoder.ts'
import { type Beat, Membership, MEMBERS_MAX, type View } from '../core/membership.ts'

/** Minimum time between two views, ms: a starting fleet causes a few views, not one per node. */
const VIEW_EVERY_MS = 200

export interface ViewsDeps {
  readonly kafka: Kafka
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  readonly heartbeats: FramedDecoder<Beat>
  readonly nodesTopic: string
  readonly leader: string
  readonly heartbeatMs: number
  readonly timeoutMs: number
}

export class Views {
  readonly #deps: ViewsDeps
  readonly #membership: Membership
  readonly #ended = new AbortController()
  readonly #onDue: () => void
  #publishedAt = -Infinity
  #isFull = false

  /**
   * Follows the heartbeats until it is closed.
   * @param last the last published view, by the leader at that time
   * @param onDue a view is ready to be taken
   */
  constructor(deps: ViewsDeps, last: View | null, onDue: () => void) {
    this.#deps = deps
    this.#onDue = onDue
    const { kafka, clock, random, log, nodesTopic, heartbeats, leader, heartbeatMs, timeoutMs } = deps
    this.#membership = new Membership({ leader, heartbeatMs, timeoutMs, last })
    const table = followDecoded(
      {
        kafka,
        clock,
        random,
        log,
        topic: nodesTopic,
        decoder: heartbeats,
        onRow: ({ key, value, timestampMs }) => this.#hear(key, value, timestampMs),
        onCurrent: () => this.#look(),
        // Members in the new log are heard there; the others fall silent.
        onRestart: () => undefined,
      },
      this.#ended.signal,
    )
    table.ended.catch((error: unknown) => log.error({ reason: messageOf(error) }, 'the heartbeats are no longer read'))
  }

  get members(): number {
    return this.#membership.size
  }

  /** The view that is due, or null. */
  due(): View | null {
    const mono = this.#deps.clock.mono()
    return mono - this.#publishedAt < VIEW_EVERY_MS ? null : this.#membership.proposal(mono)
  }

  /** The view is in the log. */
  published(view: View): void {
    this.#publishedAt = this.#deps.clock.mono()
    this.#membership.published(view)
    const { view_id, leader, members } = view
    this.#deps.log.info({ view: view_id, leader, members: members.length }, 'a view of the members is published')
  }

  close(): void {
    this.#ended.abort()
  }

  #hear(key: string, beat: Beat | null, appendMs: number): void {
    if (beat === null) return this.#membership.leave(key, appendMs)
    if (this.#membership.hear(beat, appendMs, this.#deps.clock.mono()) || this.#isFull) return
    this.#isFull = this.#membership.size >= MEMBERS_MAX
    if (this.#isFull) this.#deps.log.error(`there are ${MEMBERS_MAX} members: more of them are not in the views`)
  }

  /** The broker's answers are what advances the members' time. */
  #look(): void {
    this.#membership.look(this.#deps.clock.mono())
    if (this.due() !== null) this.#onDue()
  }
}
