// The runtime configuration of the nodes of a process (MI-5): a version reaches all of them between two samples, each
// acknowledges it, and one that is added later begins with it. The broker may be away when the process starts, and
// sampling must not wait for it (MI-2): so the last version that was applied is kept in a file beside the logs.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { Acknowledger } from '../../platform/runtime-config/acknowledger.ts'
import { checkConfig, NOTHING_SET, type RuntimeConfig } from '../../platform/runtime-config/document.ts'
import { type ConfigFollower, firstConfig } from '../../platform/runtime-config/follower.ts'
import type { Fleet } from './fleet.ts'
import type { Node } from './node.ts'

/** How long the first sample waits for the configuration. */
const FIRST_MS = 5_000
const FILE = 'runtime-config.json'

export interface NodeConfigurationOptions {
  readonly follower: ConfigFollower
  readonly acks: Acknowledger
  readonly fleet: Fleet
  readonly clock: Clock
  readonly log: Logger
  readonly dataDir: string
}

export class NodeConfiguration {
  readonly #options: NodeConfigurationOptions

  constructor(options: NodeConfigurationOptions) {
    this.#options = options
  }

  /** To be awaited before the nodes are started; takes 5 s at most. */
  async begin(): Promise<void> {
    const { follower, fleet, clock, dataDir, log } = this.#options
    fleet.configure(readLast(dataDir, log))
    follower.subscribe(({ config }) => this.#apply(config))
    // A topic that was created again says nothing, and what was kept is then no longer true.
    const first = follower.caughtUp.then(() => this.#apply(follower.current))
    await Promise.race([first, firstConfig(follower, clock, FIRST_MS)])
    if (!follower.isCaughtUp)
      log.warn({ version: fleet.configVersion }, 'sampling begins with the last known configuration: Kafka is away')
  }

  /** Nodes that were just added acknowledge what they start with. */
  joined(nodes: Iterable<Node>): void {
    const { acks, follower } = this.#options
    const { refused } = follower.state
    for (const { id, configVersion } of nodes)
      if (configVersion > 0 || refused !== null) acks.say(id, configVersion, refused)
  }

  #apply(config: RuntimeConfig): void {
    const { fleet, dataDir, log } = this.#options
    if (config.version !== fleet.configVersion) {
      fleet.configure(config)
      keepLast(dataDir, config, log)
    }
    this.joined(fleet.nodes)
  }
}

function readLast(dataDir: string, log: Logger): RuntimeConfig {
  try {
    return checkConfig(JSON.parse(readFileSync(join(dataDir, FILE), 'utf8')) as RuntimeConfig)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn(
        { reason: messageOf(error) },
        `${FILE} cannot be used; the environment’s settings hold until Kafka answers`,
      )
    return NOTHING_SET
  }
}

/** Replaced at once, so that a crash leaves the one or the other. Best effort: a full disk must not stop the samples. */
function keepLast(dataDir: string, config: RuntimeConfig, log: Logger): void {
  const file = join(dataDir, FILE)
  try {
    // Nothing is set any more: that is what no file says.
    if (config.version === NOTHING_SET.version) return rmSync(file, { force: true })
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    // Several processes may share the folder.
    writeFileSync(`${file}.${process.pid}`, `${JSON.stringify(config)}\n`, { mode: 0o600 })
    renameSync(`${file}.${process.pid}`, file)
  } catch (error) {
    log.warn({ reason: messageOf(error) }, `${FILE} cannot be written`)
  }
}
