// A simulated node: sensors, a sampler and an outbox (write-ahead log and ring). The process calls `tick`; nothing
// here waits. When the log is full the node pauses and says so, and continues when there is room again: a sample that
// cannot be kept is not taken, so its number is never used.
import type avsc from 'avsc'
import { sensorKey } from '../../platform/codec/identity.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { Heartbeat } from '../../platform/membership/heartbeat.ts'
import { EntryBatch } from '../../platform/wal/entry-batch.ts'
import { WalError } from '../../platform/wal/format.ts'
import type { Lane } from '../../platform/wal/lanes.ts'
import { nextDegraded } from './core/degraded.ts'
import { type Disorder, overtakesAt } from './core/disorder.ts'
import type { Faults } from './core/faults.ts'
import type { Generator } from './core/generator.ts'
import { railIsLow } from './core/rail.ts'
import { Sampler, type SamplerOptions } from './core/sampler.ts'
import type { Outbox } from '../outbox.ts'
import type { Sender, Uplink } from '../uplink.ts'

export interface NodeOptions {
  readonly id: string
  readonly seed: number
  readonly generator: Generator
  readonly sampler: SamplerOptions
  readonly outbox: Outbox
  readonly disorder: Disorder
  readonly uplink: Uplink
  readonly faults: Faults
  readonly type: avsc.Type
  readonly schemaId: number
  readonly log: Logger
}

/** A paused node continues when the log has come down to this share of its bound: not for a handful of samples. */
const RESUME_BELOW = 0.9

export class Node implements Sender {
  readonly id: string
  readonly outbox: Outbox
  readonly #options: NodeOptions
  readonly #sampler: Sampler
  readonly #batch: EntryBatch
  readonly #lanes: readonly Lane[]
  readonly #startedMono: number
  #flush = false
  #paused = false
  #degraded = false
  #droppedFaults = 0
  #configVersion = 0

  /** @throws WalError WAL_SENSORS */
  constructor(options: NodeOptions, monoMs: number, wallMs: number) {
    this.id = options.id
    this.outbox = options.outbox
    this.#options = options
    this.#startedMono = monoMs
    this.#sampler = new Sampler(options.sampler, monoMs, wallMs, options.outbox.wal.lastTs)
    this.#batch = new EntryBatch(options.type, options.schemaId)
    this.#lanes = Array.from({ length: options.sampler.sensors }, (_, i) => {
      const { tenant_id, sensor_id } = options.generator.reading(i)
      return options.outbox.wal.lane(sensorKey(tenant_id, sensor_id))
    })
  }

  get sensors(): number {
    return this.#lanes.length
  }

  get degraded(): boolean {
    return this.#degraded
  }

  get paused(): boolean {
    return this.#paused
  }

  /** Version of the runtime configuration that is applied. */
  get configVersion(): number {
    return this.#configVersion
  }

  /** The site of its first sensor, by which the configuration finds it; undefined for a node without sensors. */
  get site(): string | undefined {
    return this.sensors === 0 ? undefined : this.#options.generator.reading(0).site_id
  }

  get flush(): boolean {
    return this.#flush
  }

  onDropped(): void {
    this.#droppedFaults += 1
  }

  /** Takes the samples that are due and accepts them. Returns how many. */
  tick(monoMs: number, wallMs: number): number {
    const wall = wallMs + this.#options.faults.clockErrorMs(monoMs - this.#startedMono)
    const accepted = this.#flush ? 0 : this.#sample(monoMs, wall)
    this.#updateDegraded()
    return accepted
  }

  /** Applies a version of the runtime configuration, whole, between two samples. */
  configure(version: number, rateHz: number, monoMs: number): void {
    this.#configVersion = version
    this.#sampler.setRate(rateHz, monoMs)
    this.#options.disorder.limitOvertakes(overtakesAt(rateHz))
  }

  /** Takes no more samples and holds nothing back: the node is leaving. */
  leave(): void {
    this.#flush = true
  }

  heartbeat(monoMs: number, wallMs: number, final: boolean): Heartbeat {
    const { wal } = this.outbox
    return {
      node_id: this.id,
      kind: 'producer',
      at: wallMs,
      mono_ms: monoMs - this.#startedMono,
      final,
      degraded: this.#degraded,
      sensors: this.sensors,
      accepted: wal.accepted,
      acknowledged: wal.acknowledged,
      config_version: this.#configVersion,
      diagnostics: {
        rail_low: railIsLow(this.#options.seed, monoMs - this.#startedMono),
        clock_step_ms: this.#sampler.clockStepMs,
        wal_depth: this.outbox.depth,
        wal_bytes: wal.bytes,
        ring_fill: this.outbox.ringFill,
        dropped_faults: this.#droppedFaults,
        wal_renewed: wal.renewed ?? '',
      },
    }
  }

  readonly #emit = (sensor: number, ts: number, monoMs: number): void => {
    this.#batch.add(this.#lanes[sensor], this.#options.generator.sample(sensor, ts, monoMs))
  }

  #sample(monoMs: number, wallMs: number): number {
    if (this.#paused) {
      this.#sampler.skip(monoMs)
      if (this.outbox.wal.fill > RESUME_BELOW) return 0
      this.#paused = false
      this.#options.log.info({ node: this.id, missed: this.#sampler.missed }, 'sampling continues')
    }
    this.#sampler.run(monoMs, wallMs, this.#emit)
    const count = this.#batch.count
    const refused = this.#accept(monoMs)
    if (refused === null) return count
    this.#paused = true
    this.#options.log.warn({ node: this.id, reason: refused, wal_bytes: this.outbox.wal.bytes }, 'sampling pauses')
    return 0
  }

  /** @returns why the batch was refused; null when it was taken */
  #accept(monoMs: number): string | null {
    try {
      return this.outbox.accept(this.#batch, monoMs) ? null : 'the write-ahead log is full'
    } catch (error) {
      if (error instanceof WalError && error.retriable) return messageOf(error)
      throw error
    }
  }

  #updateDegraded(): void {
    const { uplink, log } = this.#options
    const { ringFill, behindRing } = this.outbox
    const degraded =
      this.#paused ||
      nextDegraded(this.#degraded, { ringFill, behindRing, failures: uplink.failures, sendingMs: uplink.sendingMs })
    if (degraded !== this.#degraded)
      log.info({ node: this.id, degraded, ring_fill: ringFill }, degraded ? 'degraded' : 'no longer degraded')
    this.#degraded = degraded
  }
}
