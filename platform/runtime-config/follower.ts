// The configuration in force, in one process: every record of the topic is checked again here, and either taken as a
// whole or refused as a whole with the reason. Versions only grow, so a record that is read twice, or is older than the
// version in force, changes nothing. Subscribers learn of a version in one call and so apply it in one piece.
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import { followTable } from '../kafka/topic-table.ts'
import type { Kafka } from '../kafka/port.ts'
import type { Logger } from '../log.ts'
import { pause, retryWhile } from '../retry.ts'
import type { FetchSchema } from '../codec/register.ts'
import { CONFIG } from '../../schemas/topics.ts'
import { ConfigReader, type ReadConfig } from './codec.ts'
import { NOTHING_SET, type RuntimeConfig, sameScopes } from './document.ts'
import type { ConfigMetrics } from './metrics.ts'
import type { BaseValues } from './settings.ts'

/** Between requests to a registry that cannot be reached: 500 ms on average. */
const REGISTRY_RETRY = { baseMs: 500, capMs: 1_000 }
/** A reason goes into every node's acknowledgement. */
const REASON_CHARS_MAX = 200

export interface ConfigState {
  /** The newest acceptable version that has been read. */
  readonly config: RuntimeConfig
  /** Why the record after it is not acceptable; null: there is none. */
  readonly refused: string | null
}

export interface FollowerOptions {
  readonly kafka: Kafka
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  readonly fetchSchema: FetchSchema
  /** Values that depend on each other are checked with these, too. */
  readonly base?: BaseValues
  readonly metrics: ConfigMetrics
}

export class ConfigFollower {
  /** Resolves when the topic has been read up to its end at the start. Never rejects; pending while the broker is down. */
  readonly caughtUp: Promise<void>
  readonly #options: FollowerOptions
  readonly #reader: ConfigReader
  readonly #listeners: ((state: ConfigState) => void)[] = []
  readonly #signal: AbortSignal
  #state: ConfigState = { config: NOTHING_SET, refused: null }
  #isCaughtUp = false

  constructor(options: FollowerOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.#reader = new ConfigReader(options.fetchSchema, options.base)
    const { kafka, clock, random, log } = options
    const table = followTable(
      { kafka, clock, random, log, topic: CONFIG, onRecord: ({ key, value }) => this.#onRecord(key, value) },
      signal,
    )
    this.caughtUp = table.caughtUp.then(() => void (this.#isCaughtUp = true))
  }

  get state(): ConfigState {
    return this.#state
  }

  get current(): RuntimeConfig {
    return this.#state.config
  }

  get isCaughtUp(): boolean {
    return this.#isCaughtUp
  }

  /** Tells of every change from now on, a version or a refusal. */
  subscribe(listener: (state: ConfigState) => void): void {
    this.#listeners.push(listener)
  }

  async #onRecord(key: string, value: Buffer | null): Promise<void> {
    const read = await this.#readWithRetries(key, value)
    if (read === null) return
    if ('refused' in read) return this.#refuse(read.refused)
    const { config } = read
    const { current } = this
    // The topic is read again from its beginning, or somebody writes to it beside the one writer.
    if (config.version < current.version) return
    if (config.version === current.version) {
      if (!sameScopes(config.scopes, current.scopes))
        this.#refuse(`version ${config.version} was already used with other values`)
      return
    }
    this.#options.log.info({ version: config.version }, 'new configuration in force')
    this.#tell({ config, refused: null })
  }

  #refuse(reason: string): void {
    const shown = reason.slice(0, REASON_CHARS_MAX)
    this.#options.log.warn({ reason: shown, version: this.current.version }, 'configuration refused')
    this.#options.metrics.refused()
    this.#tell({ config: this.current, refused: shown })
  }

  #tell(state: ConfigState): void {
    this.#state = state
    for (const listener of this.#listeners) listener(state)
  }

  /** Without the registry a configuration cannot be told from garbage; null once the process stops. */
  #readWithRetries(key: string, value: Buffer | null): Promise<ReadConfig | null> {
    const { clock, random, log } = this.#options
    return retryWhile(
      () => true,
      () => this.#reader.read(key, value),
      {
        backoff: REGISTRY_RETRY,
        clock,
        random,
        signal: this.#signal,
        isRetriable: () => true,
        onFailure: (error, attempt) => {
          if (attempt === 0)
            log.warn({ reason: messageOf(error) }, 'waiting for the schema registry to read a configuration')
        },
      },
    )
  }
}

/** Waits for the configuration that exists already, but not for long: work must start without the broker. */
export async function firstConfig(follower: ConfigFollower, clock: Clock, timeoutMs: number): Promise<void> {
  const timeout = new AbortController()
  await Promise.race([follower.caughtUp, pause(timeoutMs, timeout.signal, clock)])
  timeout.abort()
}
