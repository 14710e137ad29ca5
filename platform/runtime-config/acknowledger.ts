// Reports to `config.acks` which node has applied which version. Only a node's latest report counts, so what cannot be
// sent yet is kept by node and overwritten by what follows: bounded by the number of nodes, and never in the way of the
// work itself.
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { OutgoingBatch } from '../kafka/port.ts'
import type { Logger } from '../log.ts'
import { ackBatch, type ConfigAck } from './codec.ts'
import { pause } from '../retry.ts'

/** Acknowledgements of one request; each has less than 1 kB, and the topic takes 1 MB. */
const BATCH_MAX = 500
/** Interval between attempts to send what is pending, ms. */
const EVERY_MS = 100

export interface AcknowledgerOptions {
  readonly clock: Clock
  readonly log: Logger
  /** The nodes' kind: producer or stream-jobs. */
  readonly kind: string
  readonly schemaId: number
  /** Appends to the topic; a failed call is retried. */
  readonly send: (batches: readonly OutgoingBatch[]) => Promise<unknown>
}

export class Acknowledger {
  readonly #options: AcknowledgerOptions
  readonly #pending = new Map<string, ConfigAck>()
  #failed = false

  constructor(options: AcknowledgerOptions) {
    this.#options = options
  }

  /** The node has applied `version`; with a reason: it has refused a newer one. */
  say(nodeId: string, version: number, refused: string | null = null): void {
    const { clock, kind } = this.#options
    this.#pending.set(nodeId, { node_id: nodeId, kind, version, at: clock.now(), refused })
  }

  /** Sends until the signal fires; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.flush()
      await pause(EVERY_MS, signal, this.#options.clock)
    }
  }

  /** Sends what is pending. @returns whether all of it was sent */
  async flush(): Promise<boolean> {
    const { send, schemaId, log } = this.#options
    while (this.#pending.size > 0) {
      const batch = new Map([...this.#pending].slice(0, BATCH_MAX))
      try {
        await send([ackBatch(batch.values(), schemaId)])
      } catch (error) {
        if (!this.#failed)
          log.debug({ reason: messageOf(error) }, 'failed to send acknowledgements of the configuration; will retry')
        this.#failed = true
        return false
      }
      this.#failed = false
      // Unless there is a newer report by now.
      for (const [id, ack] of batch) if (this.#pending.get(id) === ack) this.#pending.delete(id)
    }
    return true
  }
}
