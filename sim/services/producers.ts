// The producers' core as a simulated process: the real fleet, nodes, logs and uplink, without HTTP. Its disk is a
// temporary folder; fsync is instantaneous, and recorded, so that a power cut can lose whatever was not synced.
import { fstatSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../../platform/config.ts'
import { readingType } from '../../platform/codec/reading.ts'
import type { Kafka } from '../../platform/kafka/port.ts'
import type { Logger } from '../../platform/log.ts'
import type { EntryBatch } from '../../platform/wal/entry-batch.ts'
import { decodeHeader, segmentName } from '../../platform/wal/format.ts'
import { listSegments } from '../../platform/wal/reader.ts'
import type { Chunk } from '../../platform/wal/chunk.ts'
import { Faults } from '../../producers/nodes/core/faults.ts'
import { Epochs } from '../../platform/wal/epochs.ts'
import { Fleet } from '../../producers/nodes/fleet.ts'
import type { FleetSettings } from '../../producers/nodes/options.ts'
import { Loops } from '../../producers/loops.ts'
import { Uplink } from '../../producers/uplink.ts'
import type { WalOptions } from '../../platform/wal/options.ts'
import { Wal } from '../../platform/wal/wal.ts'
import { RAW } from '../../schemas/topics.ts'
import type { Accepted } from '../accepted.ts'
import type { Bug } from '../bug.ts'
import type { Life } from '../life.ts'
import { closeFilesBelow } from '../open-files.ts'
import type { Random } from '../random.ts'
import { SCHEMA_IDS } from '../registry.ts'

const TICK_MS = 20
const ORPHANS_MS = 5_000

/** A log whose acceptances are recorded, and which knows what a power cut would leave of it. */
class ObservedWal extends Wal {
  readonly #accepted: Accepted
  /** Readings recorded when the log was opened or last fsynced: what a power cut leaves. */
  #durable: number
  #forced: { ino: number; bytes: number } | null = null
  #isClosed = false

  constructor(options: Omit<WalOptions, 'force'>, accepted: Accepted) {
    const observer: { wal: ObservedWal | null } = { wal: null }
    super({
      ...options,
      force: (fd, done) => {
        if (observer.wal !== null) observer.wal.#noteForced(fd)
        done(null)
      },
    })
    observer.wal = this
    this.#accepted = accepted
    this.#durable = accepted.countOf(options.dir)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  override append(batch: EntryBatch): Chunk | null {
    const chunk = super.append(batch)
    if (chunk !== null) this.#accepted.addChunk(this.dir, chunk)
    return chunk
  }

  #noteForced(fd: number): void {
    const { ino, size } = fstatSync(fd)
    this.#durable = this.#accepted.countOf(this.dir)
    this.#forced = { ino, bytes: size }
  }

  override async close(): Promise<void> {
    this.#isClosed = true
    await super.close()
  }

  /** Its process was killed: its files are as they are, and its lock no longer belongs to a living one. */
  abandon(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    closeFilesBelow(`${this.dir}/`)
    rmSync(join(this.dir, 'lock'))
  }

  /** Loses what was not fsynced, or part of it. */
  cutPower(random: Random): void {
    const bases = listSegments(this.dir)
    const file = join(this.dir, segmentName(bases[bases.length - 1]))
    const { ino, size } = statSync(file)
    const safe = this.#forced?.ino === ino ? this.#forced.bytes : decodeHeader(readFileSync(file), file).end
    truncateSync(file, safe + Math.floor(random() * (size - safe + 1)))
    this.#accepted.forgive(this.dir, this.#durable)
  }
}

export interface ProducersOptions {
  readonly config: Config
  readonly fleet: FleetSettings
  readonly kafka: Kafka
  readonly life: Life
  readonly random: Random
  readonly log: Logger
  readonly accepted: Accepted
  /** Boot id of the machine; changes after a power cut. */
  readonly boot: string
  readonly bug: Bug
}

export class Producers {
  readonly #options: ProducersOptions
  readonly #wals: ObservedWal[] = []
  readonly #fleet: Fleet
  readonly #loops: Loops
  readonly #uplink: Uplink

  constructor(options: ProducersOptions) {
    const { config, fleet, kafka, life, random, log } = options
    const { clock } = life
    this.#options = options
    const faults = new Faults(fleet)
    this.#uplink = new Uplink({ kafka, clock, log, random, faults })
    const epochs = new Epochs(config.DATA_DIR, random)
    this.#fleet = new Fleet({
      config,
      fleet,
      clock,
      uplink: this.#uplink,
      faults,
      log,
      type: readingType,
      schemaId: SCHEMA_IDS.get(RAW)!,
      openWal: (id) => this.#openWal(epochs, id),
    })
    this.#loops = new Loops(clock)
    life.onDeath(() => this.#wals.forEach((wal) => wal.abandon()))
  }

  /** Readings accepted and not yet acknowledged. */
  get depth(): number {
    return this.#wals.reduce((sum, { appended, acknowledged }) => sum + appended - acknowledged, 0)
  }

  async run(): Promise<void> {
    const { config } = this.#options
    this.#fleet.start()
    const loops = this.#loops
    loops.add(() => this.#uplink.run(loops.signal))
    loops.every(TICK_MS, () => void this.#fleet.tick())
    loops.every(config.WAL_FSYNC_MS === 0 ? TICK_MS : config.WAL_FSYNC_MS, async () => {
      for (const { wal } of [...this.#fleet.outboxes()]) await wal.sync()
    })
    loops.every(ORPHANS_MS, () => this.#fleet.closeDrainedOrphans())
    await loops.failure()
  }

  /** Takes no more samples and drains what it has. */
  leave(): void {
    for (const node of this.#fleet.nodes) node.leave()
  }

  /** Applies a power cut to the disk; kill the process right away. */
  cutPower(random: Random): void {
    for (const wal of this.#wals) if (!wal.isClosed) wal.cutPower(random)
  }

  #openWal(epochs: Epochs, id: string): ObservedWal {
    const { config, life, accepted, boot, bug } = this.#options
    const dir = join(config.DATA_DIR, 'wal', 'node', id)
    bug.beforeOpen?.(dir, boot)
    const wal = new ObservedWal(
      {
        dir,
        nodeId: id,
        segmentBytes: config.WAL_SEGMENT_BYTES,
        maxBytes: config.WAL_MAX_BYTES,
        fsyncMs: config.WAL_FSYNC_MS,
        claimEpoch: () => epochs.claim(life.clock.now()),
        boot,
      },
      accepted,
    )
    this.#wals.push(wal)
    return wal
  }
}
