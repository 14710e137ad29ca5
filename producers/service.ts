// The producers' process: simulated fleet, HTTP ingest, health and metrics, one way to the broker. It is ready as soon
// as it takes readings, whether the broker is there or not: they are kept, and `degraded` says that they are waiting.
//
// The stop, in order: no new requests, no new samples, what is accepted goes to the broker (at most DRAIN_MS), final
// heartbeats, logs closed. What the broker did not take stays in the logs for the next start.
import express, { type Express } from 'express'
import { z } from 'zod'
import { type Clock, systemClock } from '../platform/clock.ts'
import { readingType } from '../platform/codec/reading.ts'
import type { Config } from '../platform/config.ts'
import { InputError, messageOf } from '../platform/errors.ts'
import { Health } from '../platform/health.ts'
import { createApp, listen, sendProblem } from '../platform/http.ts'
import type { Kafka } from '../platform/kafka/port.ts'
import { aborted } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import { type Heartbeat, heartbeatBatches, plainHeartbeat } from '../platform/membership/heartbeat.ts'
import { memberIdOf } from '../platform/membership/member-id.ts'
import { createMetrics } from '../platform/metrics.ts'
import { Acknowledger } from '../platform/runtime-config/acknowledger.ts'
import { ConfigFollower } from '../platform/runtime-config/follower.ts'
import { configMetrics } from '../platform/runtime-config/metrics.ts'
import type { FetchSchema } from '../platform/codec/register.ts'
import { CONFIG_ACKS, NODES, RAW } from '../schemas/topics.ts'
import { NodeConfiguration } from './configuration.ts'
import { Faults } from './core/faults.ts'
import { Fleet } from './fleet.ts'
import { addIngestRoutes } from './ingest.ts'
import { Logs } from './logs.ts'
import { Loops } from './loops.ts'
import type { Node } from './node.ts'
import { Outbox } from './outbox.ts'
import { addGauges, ProducerMetrics } from './producer-metrics.ts'
import { type Sender, Uplink } from './uplink.ts'

export interface ServiceOptions {
  readonly config: Config
  readonly log: Logger
  readonly kafka: Kafka
  /** Schema id by topic. */
  readonly schemaIds: ReadonlyMap<string, number>
  readonly fetchSchema: FetchSchema
  readonly signal: AbortSignal
  readonly onListening?: (port: number) => void
}

/** Between two looks at what is due: small against a sensor's period, long enough to write several samples at once. */
const TICK_MS = 20
const DRAIN_MS = 8_000
const FINAL_HEARTBEAT_MS = 2_000
const INGEST_NODE = 'ingest'
const NODES_BODY_BYTES = 1_024

/** Runs until the signal fires and everything is put away; rejects when something cannot go on. */
export async function runProducers({
  config,
  log,
  kafka,
  schemaIds,
  fetchSchema,
  signal,
  onListening,
}: ServiceOptions): Promise<void> {
  const clock = systemClock
  const loops = new Loops(clock)
  const registry = createMetrics('producers')
  const metrics = new ProducerMetrics(registry)
  const faults = new Faults({
    seed: config.FLEET_SEED,
    dropProbability: config.FAULT_DROP_PROBABILITY,
    ackDelayMs: config.FAULT_ACK_DELAY_MS,
    outageAtMs: config.FAULT_OUTAGE_AT_MS,
    outageMs: config.FAULT_OUTAGE_MS,
    clockStepMs: config.FAULT_CLOCK_STEP_MS,
  })
  const uplink = new Uplink({
    kafka,
    clock,
    log,
    random: Math.random,
    faults,
    onDelivered: metrics.onDelivered,
    onFailed: metrics.onFailed,
  })
  const logs = new Logs(config, clock, log)
  const readings = { type: readingType, schemaId: idOf(schemaIds, RAW) }
  const fleet = new Fleet({
    config,
    clock,
    uplink,
    faults,
    log,
    ...readings,
    openWal: (id) => logs.open('node', id, id),
  })
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
  const follower = new ConfigFollower(
    {
      kafka,
      clock,
      random: Math.random,
      log,
      fetchSchema,
      metrics: configMetrics(registry, () => fleet.configVersion),
    },
    signal,
  )
  const configuration = new NodeConfiguration({ follower, acks, fleet, clock, log, dataDir: config.DATA_DIR })
  await configuration.begin()
  fleet.start()
  configuration.joined(fleet.nodes)
  const outboxes = function* (): Iterable<Outbox> {
    yield ingest.outbox
    yield* fleet.outboxes()
  }
  addGauges(registry, fleet, outboxes)

  let lastSent = Promise.resolve()
  // One after the other: none may arrive behind the final one of its node, which would look alive again.
  const sendHeartbeats = (heartbeats: readonly Heartbeat[]): Promise<void> =>
    (lastSent = lastSent.then(() => sendAtOnce(heartbeats)))
  const sendAtOnce = async (heartbeats: readonly Heartbeat[]): Promise<void> => {
    try {
      for (const batch of heartbeatBatches(heartbeats, idOf(schemaIds, NODES))) await uplink.sendBeside([batch])
    } catch (error) {
      log.debug({ reason: messageOf(error) }, 'heartbeats were not sent')
    }
  }
  const door = doorOf(memberIdOf(config, 'producers'), ingest.outbox, clock)
  const health = new Health()
  health.add('readings', () => readiness(fleet, ingest.outbox))
  const app = createApp({ health, metrics: registry, log, token: config.API_TOKEN })
  addIngestRoutes(app, {
    ...readings,
    outbox: ingest.outbox,
    nodeId: INGEST_NODE,
    bodyBytes: config.HTTP_BODY_BYTES,
    clock,
    onAccepted: (count) => metrics.accepted.inc(count),
  })
  addNodeRoutes(app, fleet, clock, sendHeartbeats, (added) => configuration.joined(added))
  const http = await listen(app, config.LISTEN_HOST, config.PRODUCERS_PORT, log)
  log.info({ port: http.port, nodes: config.FLEET_NODES, sensors: config.FLEET_SENSORS }, 'producers run')
  onListening?.(http.port)

  const syncAll = async (): Promise<void> => {
    for (const { wal } of [...outboxes()]) await wal.sync()
  }
  const heartbeats = async (): Promise<void> => {
    const nodes = [...fleet.nodes].map((node) => node.heartbeat(clock.mono(), clock.now(), false))
    await sendHeartbeats([...nodes, door(false)])
  }
  loops.add(() => uplink.run(loops.signal))
  loops.add(() => acks.run(loops.signal))
  loops.every(TICK_MS, () => metrics.accepted.inc(fleet.tick()))
  loops.every(config.WAL_FSYNC_MS === 0 ? TICK_MS : config.WAL_FSYNC_MS, syncAll)
  loops.every(config.HEARTBEAT_MS, heartbeats)
  loops.every(config.HEARTBEAT_MS, () => fleet.closeDrainedOrphans())

  await Promise.race([aborted(signal), loops.failure()])
  log.info({}, 'producers stop')
  await http.close()
  const [final] = await Promise.all([fleet.stop(DRAIN_MS), uplink.drained(ingest, DRAIN_MS)])
  await Promise.race([sendHeartbeats([...final, door(true)]), clock.sleep(FINAL_HEARTBEAT_MS)])
  uplink.remove(ingest)
  await ingest.outbox.wal.close()
  loops.stop()
}

function idOf(schemaIds: ReadonlyMap<string, number>, topic: string): number {
  const id = schemaIds.get(topic)
  if (id === undefined) throw new Error(`the registry gave no id for the schema of ${topic}`)
  return id
}

/** What the process says of itself beside its nodes: it is there without any, for POST /readings. */
function doorOf(memberId: string, outbox: Outbox, clock: Clock): (final: boolean) => Heartbeat {
  const startedMono = clock.mono()
  return (final) => {
    const said = plainHeartbeat({
      node_id: memberId,
      kind: 'ingest',
      at: clock.now(),
      mono_ms: clock.mono() - startedMono,
      final,
    })
    const diagnostics = { wal_depth: outbox.depth, wal_bytes: outbox.wal.bytes, ring_fill: outbox.ringFill }
    return {
      ...said,
      accepted: outbox.wal.accepted,
      acknowledged: outbox.wal.acknowledged,
      diagnostics: { ...said.diagnostics, ...diagnostics },
    }
  }
}

/** Not ready is only who takes no readings: a broker that is away for a while is what the logs are for. */
function readiness(fleet: Fleet, ingest: Outbox): { ready: boolean; detail: string } {
  const nodes = [...fleet.nodes]
  const degraded = nodes.filter((node) => node.degraded).length
  const paused = nodes.filter((node) => node.paused).length
  const full = !ingest.wal.hasRoom(ingest.wal.batchBytes)
  const detail = `${nodes.length} nodes, ${degraded} degraded, ${paused} paused${full ? '; the log of POST /readings is full' : ''}`
  return { ready: !full && (paused === 0 || paused < nodes.length), detail }
}

const nodesRequest = z.strictObject({ id: z.string().optional(), count: z.number().int().min(1).max(1_000).default(1) })

/** Nodes come and go at run time (MI-7): POST /nodes {"count": n} or {"id": "…"}, DELETE /nodes/{id}. */
function addNodeRoutes(
  app: Express,
  fleet: Fleet,
  clock: Clock,
  sendHeartbeats: (heartbeats: readonly Heartbeat[]) => Promise<void>,
  onAdded: (nodes: readonly Node[]) => void,
): void {
  app.get('/nodes', (_request, response) => {
    response.json({
      nodes: [...fleet.nodes].map(({ id, sensors, degraded, paused }) => ({ id, sensors, degraded, paused })),
    })
  })
  app.post('/nodes', express.json({ limit: NODES_BODY_BYTES }), (request, response) => {
    const parsed = nodesRequest.safeParse(request.body)
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      throw new InputError('INVALID', issue.path.join('.'), `${issue.path.join('.') || 'body'}: ${issue.message}`)
    }
    const { id, count } = parsed.data
    const added = id === undefined ? Array.from({ length: count }, () => fleet.add()) : [fleet.add(id)]
    onAdded(added)
    // Members learn of a node at once, not when all send their next heartbeat.
    void sendHeartbeats(added.map((node) => node.heartbeat(clock.mono(), clock.now(), false)))
    response.status(201).json({ nodes: added.map((node) => node.id) })
  })
  app.delete('/nodes/:id', async (request, response) => {
    const heartbeat = await fleet.remove(request.params.id, DRAIN_MS)
    if (heartbeat === null)
      return sendProblem(response, { status: 404, title: 'Not Found', detail: `there is no node ${request.params.id}` })
    await sendHeartbeats([heartbeat])
    response.json({ node: heartbeat.node_id, accepted: heartbeat.accepted, acknowledged: heartbeat.acknowledged })
  })
}
