// Tells `config.acks` which node has applied which version. Only a node's latest word counts, so what cannot be sent
// yet is kept by node and overwritten by what follows: bounded by the nodes, and never in the way of the work itself.
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { OutgoingBatch } from '../kafka/port.ts'
import type { Logger } from '../log.ts'
import { ackBatch, type ConfigAck } from './codec.ts'

/** Acknowledgements of one request; each has less than 1 kB, and the topic takes 1 MB. */
const BATCH_MAX = 500
/** How often it is looked whether there is something to say, and tried again. */
const EVERY_MS = 100

export interface AcknowledgerOptions {
  readonly clock: Clock
  readonly log: Logger
  /** The nodes' kind: producer or stream-jobs. */
  readonly kind: string
  readonly schemaId: number
  /** Appends to the topic; what it rejects is tried again. */
  readonly send: (batches: readonly OutgoingBatch[]) => Promise<unknown>
}

export class Acknowledger {
  readonly #options: AcknowledgerOptions
  readonly #pending = new Map<string, ConfigAck>()
  #failed = false

  constructor(options: AcknowledgerOptions) {
    this.#options = options
  }

  /** The node has applied `version`; with a reason: it has refused what came after. */
  say(nodeId: string, version: number, refused: string | null = null): void {
    const { clock, kind } = this.#options
    this.#pending.set(nodeId, { node_id: nodeId, kind, version, at: clock.now(), refused })
  }

  /** Sends until the signal fires; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.flush()
      await this.#options.clock.sleep(EVERY_MS, signal).catch(() => undefined)
    }
  }

  /** Sends what is pending. Whether it all went. */
  async flush(): Promise<boolean> {
    const { send, schemaId, log } = this.#options
    while (this.#pending.size > 0) {
      const batch = new Map([...this.#pending].slice(0, BATCH_MAX))
      try {
        await send([ackBatch(batch.values(), schemaId)])
      } catch (error) {
        if (!this.#failed) log.debug({ reason: messageOf(error) }, 'acknowledgements of the configuration wait')
        this.#failed = true
        return false
      }
      this.#failed = false
      // Unless there is a newer word by now.
      for (const [id, ack] of batch) if (this.#pending.get(id) === ack) this.#pending.delete(id)
    }
    return true
  }
}
