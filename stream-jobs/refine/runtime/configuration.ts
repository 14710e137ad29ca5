// The settings this process wants its tasks to use: the environment's, overlaid by the newest version of the runtime
// configuration. A task gets them as a control record in its input; that all of them have read it is what this process
// acknowledges.
import type { Clock } from '../../../platform/clock.ts'
import type { Config } from '../../../platform/config.ts'
import type { Producer } from '../../../platform/kafka/port.ts'
import type { Logger } from '../../../platform/log.ts'
import { memberIdOf } from '../../../platform/membership/member-id.ts'
import { Acknowledger } from '../../../platform/runtime-config/acknowledger.ts'
import { parseScope, type RuntimeConfig } from '../../../platform/runtime-config/document.ts'
import { type ConfigFollower, firstConfig } from '../../../platform/runtime-config/follower.ts'
import type { ScopeKind } from '../../../platform/runtime-config/settings.ts'
import type { CoreSettings, Overrides } from '../core/settings.ts'
import type { Tasks } from './tasks.ts'
import { pause } from '../../../platform/retry.ts'

/** The existing configuration is applied before the first record, if it can be read within this time. */
const FIRST_MS = 5_000
/** How often to check whether all partitions have applied it. */
const REPORT_MS = 200

const environmentSettings = (config: Config): CoreSettings => ({
  gapTimeoutMs: config.REFINE_GAP_TIMEOUT_MS,
  gapBuffer: config.REFINE_GAP_BUFFER,
  holdBackMs: config.REFINE_HOLD_BACK_MS,
  holdBackBuffer: config.REFINE_HOLD_BACK_BUFFER,
  futureMs: config.REFINE_FUTURE_MS,
  aheadMs: config.REFINE_AHEAD_MS,
  earliestMs: config.REFINE_EARLIEST,
  partitions: 0,
  window: config.DETECTOR_WINDOW,
  minSamples: config.DETECTOR_MIN_SAMPLES,
  z: config.DETECTOR_Z,
  version: 0,
  zByNode: [],
  zBySite: [],
  zByMetric: [],
})

/** The core's settings under a version of the runtime configuration. */
export function settingsUnder({ version, scopes }: RuntimeConfig, base: CoreSettings): CoreSettings {
  const fleet = scopes.fleet ?? {}
  const exceptions = (kind: ScopeKind): Overrides =>
    Object.entries(scopes)
      .flatMap(([scope, { 'detector.z': z }]) => {
        const parsed = parseScope(scope)
        return parsed.kind === kind && z !== undefined ? [[parsed.id, z] as const] : []
      })
      .sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.freeze({
    ...base,
    gapTimeoutMs: fleet['refine.gap_timeout_ms'] ?? base.gapTimeoutMs,
    holdBackMs: fleet['refine.hold_back_ms'] ?? base.holdBackMs,
    window: fleet['detector.window'] ?? base.window,
    minSamples: fleet['detector.min_samples'] ?? base.minSamples,
    z: fleet['detector.z'] ?? base.z,
    version,
    zByNode: exceptions('node'),
    zBySite: exceptions('site'),
    zByMetric: exceptions('detector'),
  })
}

export class RefineConfiguration {
  readonly #memberId: string
  #base: CoreSettings
  readonly #follower: ConfigFollower | null
  #wanted: CoreSettings
  #applied = 0

  /** @param follower null where settings never change */
  constructor(config: Config, follower: ConfigFollower | null) {
    this.#memberId = memberIdOf(config, 'stream-jobs')
    this.#base = environmentSettings(config)
    this.#follower = follower
    this.#wanted = this.#base
  }

  /** The settings tasks should use; the same object until there is a newer version. */
  get wanted(): CoreSettings {
    return this.#wanted
  }

  /** How many partitions raw has; every reading is held to it. */
  expectPartitions(partitions: number): void {
    if (partitions === this.#base.partitions) return
    this.#base = { ...this.#base, partitions }
    this.#wanted = Object.freeze({ ...this.#wanted, partitions })
  }

  /** The version that every partition of this process has applied. */
  get applied(): number {
    return this.#applied
  }

  /** Waits a while for what the topic already holds, then follows it. */
  async begin(clock: Clock, onWanted: () => void): Promise<void> {
    const follower = this.#follower
    if (follower === null) return
    follower.subscribe(({ config }) => {
      this.#want(config)
      onWanted()
    })
    this.#want(follower.current)
    await firstConfig(follower, clock, FIRST_MS)
  }

  /** Acknowledges what the tasks have applied, until the signal fires. */
  async report(
    tasks: () => Tasks | null,
    { clock, log, producer, schemaId }: { clock: Clock; log: Logger; producer: Producer; schemaId: number },
    signal: AbortSignal,
  ): Promise<void> {
    const follower = this.#follower
    if (follower === null) return
    const send = (batches: Parameters<Producer['send']>[0]): Promise<number[]> => producer.send(batches)
    const acks = new Acknowledger({ clock, log, kind: 'stream-jobs', schemaId, send })
    let said = { version: 0, refused: null as string | null }
    while (!signal.aborted) {
      const reached = tasks()?.appliedVersion() ?? null
      // Unknown while partitions are still being acquired: the last known version is kept.
      if (reached !== null) {
        this.#applied = Math.min(reached, follower.current.version)
        const now = { version: this.#applied, refused: follower.state.refused }
        if (now.version !== said.version || now.refused !== said.refused) {
          acks.say(this.#memberId, now.version, now.refused)
          said = now
        }
      }
      await acks.flush()
      await pause(REPORT_MS, signal, clock)
    }
  }

  #want(config: RuntimeConfig): void {
    if (config.version !== this.#wanted.version) this.#wanted = settingsUnder(config, this.#base)
  }
}
