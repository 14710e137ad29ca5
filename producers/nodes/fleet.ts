// The simulated nodes of a process: they come and go at run time (MI-7), share one clock tick and one way to the
// broker, and have a write-ahead log each. Logs of nodes that are no longer simulated but still hold readings are
// sent to the end as well: a node that a crash took away loses nothing.
import type avsc from 'avsc'
import type { Clock } from '../../platform/clock.ts'
import { InputError, messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { Heartbeat } from '../../platform/membership/heartbeat.ts'
import { NOTHING_SET, resolve, type RuntimeConfig } from '../../platform/runtime-config/document.ts'
import { listWals } from '../../platform/wal/directory.ts'
import { Disorder, overtakesAt } from './core/disorder.ts'
import type { Faults } from './core/faults.ts'
import { Generator } from './core/generator.ts'
import { Node } from './node.ts'
import { type FleetSettings, samplerOptions } from './options.ts'
import type { Config } from '../../platform/config.ts'
import { Outbox } from '../outbox.ts'
import type { Uplink } from '../uplink.ts'
import type { Wal } from '../../platform/wal/wal.ts'

export interface FleetOptions {
  readonly config: Pick<Config, 'DATA_DIR' | 'RING_CAPACITY'>
  readonly fleet: FleetSettings
  readonly clock: Clock
  readonly uplink: Uplink
  readonly faults: Faults
  readonly type: avsc.Type
  readonly schemaId: number
  readonly log: Logger
  /** Opens the log of a node. */
  readonly openWal: (nodeId: string) => Wal
}

/** Goes into file names and record keys. */
const NODE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const MAX_NODES = 10_000

export class Fleet {
  readonly #options: FleetOptions
  readonly #nodes = new Map<string, Node>()
  /** Nodes that are draining. */
  readonly #leaving = new Map<string, Node>()
  /** Logs of nodes that are gone, and the nodes' ids. */
  readonly #orphans: { id: string; outbox: Outbox; flush: true }[] = []

  #configuration: RuntimeConfig = NOTHING_SET

  constructor(options: FleetOptions) {
    this.#options = options
  }

  get nodes(): IterableIterator<Node> {
    return this.#nodes.values()
  }

  /** Version of the runtime configuration that all nodes have applied. */
  get configVersion(): number {
    return this.#configuration.version
  }

  /** Everything with a log, for metrics and syncing. */
  *outboxes(): Iterable<Outbox> {
    for (const node of this.#nodes.values()) yield node.outbox
    for (const node of this.#leaving.values()) yield node.outbox
    for (const { outbox } of this.#orphans) yield outbox
  }

  /** Starts the configured nodes and picks up the logs that others left. */
  start(): void {
    const { config, fleet } = this.#options
    for (let number = 1; number <= fleet.nodes; number += 1) this.add(nodeIdOf(number))
    for (const { kind, name } of listWals(config.DATA_DIR)) {
      if (kind === 'node' && !this.#nodes.has(name)) this.#adopt(name)
    }
  }

  /**
   * Adds a node.
   * @param id the next free one of the fleet if not given
   * @throws InputError
   */
  add(id = this.#freeId()): Node {
    if (!NODE_ID.test(id)) throw new InputError('INVALID', 'id', `id must match ${NODE_ID.source}`)
    if (this.#nodes.has(id) || this.#leaving.has(id))
      throw new InputError('EXISTS', 'id', `there is a node ${id} already`)
    if (this.#nodes.size >= MAX_NODES)
      throw new InputError('TOO_MANY', 'count', `there are ${MAX_NODES} nodes already, which is the limit`)
    if (this.#isOrphan(id))
      throw new InputError('BUSY', 'id', `what a former node ${id} left is still being sent; try again`)
    const { config, fleet, clock } = this.#options
    const number = numberOf(id)
    const { count, first } = shareOf(fleet.sensors, fleet.nodes, number)
    const seed = fleet.seed * 7919 + number
    const disorder = new Disorder({
      seed,
      outOfOrder: fleet.outOfOrder,
      duplicates: fleet.duplicates,
      sensors: count,
      maxOvertakes: overtakesAt(fleet.rateHz),
    })
    const outbox = new Outbox({ wal: this.#options.openWal(id), ringCapacity: config.RING_CAPACITY, disorder })
    const generator = new Generator({
      seed: fleet.seed,
      nodeId: id,
      sensors: count,
      firstSensor: first,
      anomalies: fleet.anomalies,
    })
    const parts = { id, seed, generator, sampler: samplerOptions(fleet, count), outbox, disorder }
    const node = new Node({ ...this.#options, ...parts }, clock.mono(), clock.now())
    this.#nodes.set(id, node)
    this.#apply(node)
    this.#options.uplink.add(node)
    return node
  }

  /**
   * Takes a node out: no more samples, what it has is sent, its log is closed.
   * @returns its final heartbeat; null when there is no such node
   */
  async remove(id: string, timeoutMs: number): Promise<Heartbeat | null> {
    const node = this.#nodes.get(id)
    if (node === undefined) return null
    this.#nodes.delete(id)
    this.#leaving.set(id, node)
    node.leave()
    const { uplink, clock, log } = this.#options
    const drained = await uplink.drained(node, timeoutMs)
    uplink.remove(node)
    const heartbeat = node.heartbeat(clock.mono(), clock.now(), true)
    await node.outbox.wal.close()
    this.#leaving.delete(id)
    if (!drained)
      log.warn(
        { node: id, depth: node.outbox.depth },
        'the node left before the broker took all; the log keeps the rest',
      )
    return heartbeat
  }

  /** Takes all nodes out at once. */
  async stop(timeoutMs: number): Promise<Heartbeat[]> {
    const heartbeats = await Promise.all([...this.#nodes.keys()].map((id) => this.remove(id, timeoutMs)))
    for (const orphan of this.#orphans.splice(0)) {
      this.#options.uplink.remove(orphan)
      await orphan.outbox.wal.close()
    }
    return heartbeats.filter((heartbeat) => heartbeat !== null)
  }

  /** Applies a version of the runtime configuration to all nodes, those that are added later included (MI-5). */
  configure(configuration: RuntimeConfig): void {
    this.#configuration = configuration
    for (const node of this.#nodes.values()) this.#apply(node)
  }

  /** Lets every node take its samples. Returns how many readings were accepted. */
  tick(): number {
    const { clock } = this.#options
    const mono = clock.mono()
    const wall = clock.now()
    let accepted = 0
    for (const node of this.#nodes.values()) accepted += node.tick(mono, wall)
    for (const node of this.#leaving.values()) node.tick(mono, wall)
    return accepted
  }

  /** Closes the logs of former nodes that have been sent to the end. */
  async closeDrainedOrphans(): Promise<void> {
    for (const orphan of this.#orphans.filter(({ outbox }) => outbox.depth === 0)) {
      this.#orphans.splice(this.#orphans.indexOf(orphan), 1)
      this.#options.uplink.remove(orphan)
      await orphan.outbox.wal.close()
    }
  }

  #apply(node: Node): void {
    const { fleet, clock } = this.#options
    const rateHz = resolve(this.#configuration, 'producer.rate_hz', { node: node.id, site: node.site })
    node.configure(this.#configuration.version, rateHz ?? fleet.rateHz, clock.mono())
  }

  #adopt(id: string): void {
    const { openWal, config, uplink, log } = this.#options
    try {
      const wal = openWal(id)
      const orphan = { id, outbox: new Outbox({ wal, ringCapacity: config.RING_CAPACITY }), flush: true as const }
      this.#orphans.push(orphan)
      uplink.add(orphan)
    } catch (error) {
      log.warn({ node: id, reason: messageOf(error) }, 'the log of a former node cannot be opened')
    }
  }

  #isOrphan(id: string): boolean {
    return this.#orphans.some((orphan) => orphan.id === id)
  }

  #freeId(): string {
    for (let number = 1; ; number += 1) {
      const id = nodeIdOf(number)
      if (!this.#nodes.has(id) && !this.#leaving.has(id) && !this.#isOrphan(id)) return id
    }
  }
}

const nodeIdOf = (number: number): string => `node-${String(number).padStart(4, '0')}`

/** Nodes with names of their own get numbers far from the fleet's, so that their sensors do not meet. */
function numberOf(id: string): number {
  const match = /^node-(\d{4,6})$/.exec(id)
  if (match !== null && Number(match[1]) > 0) return Number(match[1])
  let hash = 0
  for (let i = 0; i < id.length; i += 1) hash = (Math.imul(hash, 31) + id.charCodeAt(i)) >>> 0
  return 1_000_000 + (hash % 1_000_000)
}

/** The sensors of node `number` (from 1): an even share, the remainder going to the first nodes. */
export function shareOf(sensors: number, nodes: number, number: number): { count: number; first: number } {
  const all = Math.max(1, nodes)
  const each = Math.floor(sensors / all)
  const extra = sensors % all
  const i = number - 1
  if (i < all) return { count: each + (i < extra ? 1 : 0), first: i * each + Math.min(i, extra) }
  const later = Math.max(1, each)
  return { count: later, first: sensors + (i - all) * later }
}
