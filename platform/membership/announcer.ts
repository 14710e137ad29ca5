// A process announces that it is alive: one heartbeat on `nodes` every HEARTBEAT_MS under its member id, and a final one
// after a clean stop, so that the leader need not wait for its time-out. Best effort and in the background: neither the
// broker nor the registry can delay the process's own work, and a heartbeat that was not sent is replaced by the next.
//
// A process starts one when its work has begun and stops it when its work has ended:
//   const announcer = announce({ config, kind: 'replica', kafka, clock: systemClock, log })
//   …
//   await announcer.stop()
// The simulated nodes of the producers send theirs through their own connection (producers/service.ts).
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import { messageOf } from '../errors.ts'
import type { Kafka, Producer } from '../kafka/port.ts'
import type { Logger } from '../log.ts'
import { RegistryError, registerSchemas } from '../codec/register.ts'
import { NODES } from '../../schemas/topics.ts'
import { type Heartbeat, heartbeatBatches, type MemberKind, plainHeartbeat } from './heartbeat.ts'
import { memberIdOf } from './member-id.ts'
import { pause } from '../retry.ts'

/** Longest wait of a stop: for a heartbeat that is on its way, and for the final one. */
const FINAL_MS = 2_000

export interface AnnouncerOptions {
  readonly kafka: Kafka
  readonly clock: Clock
  readonly log: Logger
  readonly intervalMs: number
  readonly memberId: string
  readonly kind: MemberKind
  /** The applied version of the runtime configuration, where the process applies it. */
  readonly configVersion?: () => number
  /** The id of the heartbeat's schema; asked until it is known. */
  readonly schemaId: () => Promise<number>
}

export class Announcer {
  readonly #options: AnnouncerOptions
  readonly #startedMono: number
  readonly #end = new AbortController()
  readonly #running: Promise<void>
  #producer: Producer | null = null
  #schemaId: number | null = null
  #failures = 0

  /** Starts at once. */
  constructor(options: AnnouncerOptions) {
    this.#options = options
    this.#startedMono = options.clock.mono()
    this.#running = this.#run()
  }

  /** Sends the final heartbeat and disconnects; takes 2 s at most and never rejects. */
  async stop(): Promise<void> {
    this.#end.abort()
    await Promise.race([this.#leave(), this.#options.clock.sleep(FINAL_MS)])
  }

  async #run(): Promise<void> {
    const { clock, intervalMs } = this.#options
    while (!this.#end.signal.aborted) {
      await this.#beat(false)
      await pause(intervalMs, this.#end.signal, clock)
    }
  }

  async #leave(): Promise<void> {
    // One that is on its way must not arrive after the final one: the member would look alive again.
    await this.#running
    if (this.#failures === 0) await this.#beat(true)
    await this.#drop()
  }

  async #beat(final: boolean): Promise<void> {
    const { kafka, log, memberId } = this.#options
    try {
      this.#schemaId ??= await this.#options.schemaId()
      this.#producer ??= await kafka.producer()
      for (const batch of heartbeatBatches([this.#heartbeat(final)], this.#schemaId)) await this.#producer.send([batch])
      if (this.#failures > 0)
        log.info({ member: memberId, failures: this.#failures }, 'heartbeats are being sent again')
      this.#failures = 0
    } catch (error) {
      this.#failures += 1
      if (this.#failures === 1)
        log.warn(
          { member: memberId, reason: messageOf(error) },
          'failed to send a heartbeat; peers will consider this process down',
        )
      // The client may be in any state: the next heartbeat gets a new one.
      await this.#drop()
    }
  }

  #heartbeat(final: boolean): Heartbeat {
    const { clock, memberId, kind, configVersion } = this.#options
    const said = { node_id: memberId, kind, at: clock.now(), mono_ms: clock.mono() - this.#startedMono, final }
    return { ...plainHeartbeat(said), config_version: configVersion?.() ?? 0 }
  }

  async #drop(): Promise<void> {
    const producer = this.#producer
    this.#producer = null
    await producer?.close().catch(() => undefined)
  }
}

export interface AnnounceOptions extends Pick<AnnouncerOptions, 'kafka' | 'clock' | 'log' | 'kind' | 'configVersion'> {
  readonly config: Pick<Config, 'MEMBER_ID' | 'HEARTBEAT_MS' | 'REGISTRY_URL' | 'API_TOKEN'>
}

/** Announces a process under its member id until it is stopped. */
export function announce({ config, kind, ...rest }: AnnounceOptions): Announcer {
  return new Announcer({
    ...rest,
    kind,
    intervalMs: config.HEARTBEAT_MS,
    memberId: memberIdOf(config, kind),
    schemaId: () => heartbeatSchemaId(config),
  })
}

/** Registering what is registered changes nothing. */
async function heartbeatSchemaId({ REGISTRY_URL, API_TOKEN }: AnnounceOptions['config']): Promise<number> {
  const id = (await registerSchemas(REGISTRY_URL, API_TOKEN)).get(NODES)
  if (id === undefined)
    throw new RegistryError('REGISTRY_REFUSED', `the registry gave no id for the schema of ${NODES}`)
  return id
}
