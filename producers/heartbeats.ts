// What a producers' process says of its nodes and of itself on the topic `nodes`. Itself, since it is a member without
// any nodes, too: it takes POST /readings. Sends follow one another: a heartbeat that arrived after the final one of its
// node would make the node look alive again.
import type { Clock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import { type Heartbeat, heartbeatBatches, plainHeartbeat } from '../platform/membership/heartbeat.ts'
import type { Fleet } from './nodes/fleet.ts'
import type { Outbox } from './outbox.ts'
import type { Uplink } from './uplink.ts'

export interface HeartbeatsOptions {
  readonly fleet: Fleet
  readonly uplink: Uplink
  /** Of POST /readings. */
  readonly ingest: Outbox
  readonly clock: Clock
  readonly log: Logger
  readonly schemaId: number
  /** Name of this process among the members. */
  readonly memberId: string
}

export class Heartbeats {
  readonly #options: HeartbeatsOptions
  readonly #startedMono: number
  #lastSent = Promise.resolve()

  constructor(options: HeartbeatsOptions) {
    this.#options = options
    this.#startedMono = options.clock.mono()
  }

  /** Best effort: what could not be sent is replaced by the next one. */
  send(heartbeats: readonly Heartbeat[]): Promise<void> {
    return (this.#lastSent = this.#lastSent.then(() => this.#sendNow(heartbeats)))
  }

  /** All nodes and the process. */
  sendAll(): Promise<void> {
    const { fleet, clock } = this.#options
    const nodes = [...fleet.nodes].map((node) => node.heartbeat(clock.mono(), clock.now(), false))
    return this.send([...nodes, this.ownHeartbeat(false)])
  }

  ownHeartbeat(final: boolean): Heartbeat {
    const { clock, memberId, ingest } = this.#options
    const plain = plainHeartbeat({
      node_id: memberId,
      kind: 'ingest',
      at: clock.now(),
      mono_ms: clock.mono() - this.#startedMono,
      final,
    })
    const { wal, depth, ringFill } = ingest
    return {
      ...plain,
      accepted: wal.accepted,
      acknowledged: wal.acknowledged,
      diagnostics: {
        ...plain.diagnostics,
        wal_depth: depth,
        wal_bytes: wal.bytes,
        ring_fill: ringFill,
        wal_renewed: wal.renewed ?? '',
      },
    }
  }

  async #sendNow(heartbeats: readonly Heartbeat[]): Promise<void> {
    const { uplink, schemaId, log } = this.#options
    try {
      for (const batch of heartbeatBatches(heartbeats, schemaId)) await uplink.sendBeside([batch])
    } catch (error) {
      log.debug({ reason: messageOf(error) }, 'heartbeats were not sent')
    }
  }
}
