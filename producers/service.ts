// The producers' process: simulated fleet, HTTP ingest, health and metrics, one way to the broker. It is ready as soon
// as it takes readings, whether the broker is there or not: they are kept, and `degraded` says that they are waiting.
//
// The stop, in order: no new requests, no new samples, what is accepted goes to the broker (at most DRAIN_MS), final
// heartbeats, logs closed. What the broker did not take stays in the logs for the next start.
import { readingType } from '../platform/codec/reading.ts'
import type { Config } from '../platform/config.ts'
import { createApp } from '../platform/http.ts'
import { aborted } from '../platform/lifecycle.ts'
import { memberIdOf } from '../platform/membership/member-id.ts'
import { pause } from '../platform/retry.ts'
import { Acknowledger } from '../platform/runtime-config/acknowledger.ts'
import { ConfigFollower } from '../platform/runtime-config/follower.ts'
import { configMetrics } from '../platform/runtime-config/metrics.ts'
import type { Service } from '../platform/service.ts'
import { WalDirectory } from '../platform/wal/directory.ts'
import { CONFIG_ACKS, NODES, RAW } from '../schemas/topics.ts'
import { IdempotencyKeys } from './doors/http/idempotency.ts'
import { addIngestRoutes } from './doors/http/ingest.ts'
import { addNodeRoutes } from './doors/http/nodes.ts'
import { Heartbeats } from './heartbeats.ts'
import { Loops } from './loops.ts'
import { addGauges, addRepeats, ProducerMetrics } from './metrics.ts'
import { NodeConfiguration } from './nodes/configuration.ts'
import { Faults } from './nodes/core/faults.ts'
import type { FleetSettings } from './nodes/options.ts'
import { Fleet } from './nodes/fleet.ts'
import { Outbox } from './outbox.ts'
import { type Sender, Uplink } from './uplink.ts'

/** Between two looks at what is due: small against a sensor's period, long enough to write several samples at once. */
const TICK_MS = 20
const DRAIN_MS = 8_000
const FINAL_HEARTBEAT_MS = 2_000
const INGEST_NODE = 'ingest'

/** Everything that holds readings or moves them. */
interface Parts {
  readonly uplink: Uplink
  readonly fleet: Fleet
  readonly ingest: Sender
  readonly acks: Acknowledger
  readonly heartbeats: Heartbeats
  readonly configuration: NodeConfiguration
  readonly metrics: ProducerMetrics
  readonly readings: { readonly type: typeof readingType; readonly schemaId: number }
}

/**
 * Starts the process.
 * @param fleet simulated nodes; none by default
 * @param schemaIds schema id by topic
 * @returns its work: ends when the signal fires, rejects when something cannot continue
 */
export async function startProducers(
  service: Service,
  fleet: FleetSettings,
  schemaIds: ReadonlyMap<string, number>,
): Promise<() => Promise<void>> {
  const { config, log, signal } = service
  const loops = new Loops(service.clock)
  const parts = buildParts(service, fleet, schemaIds)
  service.onStop(() => putAway(service, parts, loops))
  await parts.configuration.begin()
  parts.fleet.start()
  parts.configuration.joined(parts.fleet.nodes)
  await openDoors(service, parts)
  log.info({ nodes: fleet.nodes, sensors: fleet.nodes === 0 ? 0 : fleet.sensors }, 'producers run')
  runLoops(config, parts, loops)
  return () => Promise.race([aborted(signal), loops.failure()])
}

function buildParts(service: Service, simulated: FleetSettings, schemaIds: ReadonlyMap<string, number>): Parts {
  const { config, log, kafka, clock, random, signal, fetchSchema } = service
  const metrics = new ProducerMetrics(service.metrics)
  const faults = new Faults(simulated)
  const { onDelivered, onFailed } = metrics
  const uplink = new Uplink({ kafka, clock, log, random, faults, onDelivered, onFailed })
  const logs = new WalDirectory(config, clock, log)
  const readings = { type: readingType, schemaId: idOf(schemaIds, RAW) }
  const openWal = (id: string) => logs.open('node', id, id)
  const fleet = new Fleet({ config, fleet: simulated, clock, uplink, faults, log, ...readings, openWal })
  const ingest: Sender = {
    outbox: new Outbox({ wal: logs.open('ingest', INGEST_NODE, INGEST_NODE), ringCapacity: config.RING_CAPACITY }),
    flush: true,
  }
  uplink.add(ingest)
  const acks = new Acknowledger({
    clock,
    log,
    kind: 'producer',
    schemaId: idOf(schemaIds, CONFIG_ACKS),
    send: (batches) => uplink.sendBeside(batches),
  })
  const configured = configMetrics(service.metrics, () => fleet.configVersion)
  const follower = new ConfigFollower({ kafka, clock, random, log, fetchSchema, metrics: configured }, signal)
  const configuration = new NodeConfiguration({ follower, acks, fleet, clock, log, dataDir: config.DATA_DIR })
  const heartbeats = new Heartbeats({
    fleet,
    uplink,
    ingest: ingest.outbox,
    clock,
    log,
    schemaId: idOf(schemaIds, NODES),
    memberId: memberIdOf(config, 'producers'),
  })
  return { uplink, fleet, ingest, acks, heartbeats, configuration, metrics, readings }
}

function idOf(schemaIds: ReadonlyMap<string, number>, topic: string): number {
  const id = schemaIds.get(topic)
  if (id === undefined) throw new Error(`the registry gave no id for the schema of ${topic}`)
  return id
}

async function openDoors(service: Service, parts: Parts): Promise<void> {
  const { config, clock, health } = service
  const { fleet, ingest, heartbeats, configuration, metrics, readings } = parts
  const keys = new IdempotencyKeys(ingest.outbox.wal, config.WAL_FSYNC_MS === 0)
  service.onStop(() => keys.close())
  addGauges(service.metrics, fleet, () => outboxesOf(parts))
  health.add('readings', () => readiness(fleet, ingest.outbox))
  const app = createApp(service.http)
  const repeats = addIngestRoutes(app, {
    ...readings,
    outbox: ingest.outbox,
    nodeId: INGEST_NODE,
    bodyBytes: config.HTTP_BODY_BYTES,
    bounds: { earliestMs: config.REFINE_EARLIEST, futureMs: config.REFINE_FUTURE_MS },
    clock,
    log: service.log,
    keys,
    onAccepted: (count) => metrics.accepted.inc(count),
  })
  addRepeats(service.metrics, () => repeats.readings)
  const onAdded = configuration.joined.bind(configuration)
  addNodeRoutes(app, { fleet, clock, heartbeats, drainMs: DRAIN_MS, onAdded })
  await service.listen(app, config.PRODUCERS_PORT)
}

function* outboxesOf({ ingest, fleet }: Parts): Iterable<Outbox> {
  yield ingest.outbox
  yield* fleet.outboxes()
}

/** Not ready means that no readings are taken; a broker that is away for a while is what the logs are for. */
function readiness(fleet: Fleet, ingest: Outbox): { ready: boolean; detail: string } {
  const nodes = [...fleet.nodes]
  const degraded = nodes.filter((node) => node.degraded).length
  const paused = nodes.filter((node) => node.paused).length
  const full = !ingest.wal.hasRoom(ingest.wal.batchBytes)
  const detail = `${nodes.length} nodes, ${degraded} degraded, ${paused} paused${full ? '; the log of POST /readings is full' : ''}`
  return { ready: !full && (paused === 0 || paused < nodes.length), detail }
}

function runLoops(config: Config, parts: Parts, loops: Loops): void {
  const { uplink, acks, fleet, metrics, heartbeats } = parts
  const syncAll = async (): Promise<void> => {
    for (const { wal } of [...outboxesOf(parts)]) await wal.sync()
  }
  loops.add(() => uplink.run(loops.signal))
  loops.add(() => acks.run(loops.signal))
  loops.every(TICK_MS, () => metrics.accepted.inc(fleet.tick()))
  loops.every(config.WAL_FSYNC_MS === 0 ? TICK_MS : config.WAL_FSYNC_MS, syncAll)
  loops.every(config.HEARTBEAT_MS, () => heartbeats.sendAll())
  loops.every(config.HEARTBEAT_MS, () => fleet.closeDrainedOrphans())
}

/** After a failure nothing is sent any more: the logs are closed, and the next start sends what they hold. */
async function putAway({ log }: Service, parts: Parts, loops: Loops): Promise<void> {
  const { uplink, fleet, ingest, heartbeats } = parts
  log.info({}, 'producers stop')
  const drainMs = loops.areRunning ? DRAIN_MS : 0
  const [final] = await Promise.all([fleet.stop(drainMs), uplink.drained(ingest, drainMs)])
  if (drainMs > 0)
    await Promise.race([heartbeats.send([...final, heartbeats.ownHeartbeat(true)]), pause(FINAL_HEARTBEAT_MS)])
  uplink.remove(ingest)
  await ingest.outbox.wal.close()
  loops.stop()
}
