// Several brokers on this machine as one cluster, each with its own process, folder and port, so that what only a
// cluster can show is tested here: leaders that move, coordinators that move, replicas that fall behind. Every node is
// broker and controller. Topics have one replica per node, and a write counts once two nodes have it.
import { join } from 'node:path'
import { freePorts } from '../../platform/free-port.ts'
import { prepareKafka } from './kafka.ts'
import { launch, newClusterId } from './kafka-launch.ts'
import type { Supervised } from './supervise.ts'

const STOP_TIMEOUT_MS = 60_000

export interface ClusterNode {
  /** Kafka's node.id, from 1. */
  readonly id: number
  readonly pid: number
  isRunning(): boolean
  /** SIGKILL, as a crash would be. */
  kill(): Promise<void>
  /** Clean stop: leadership moves first. */
  stop(): Promise<void>
  /** Starts again on the same folder and ports; resolves when it serves clients. */
  start(): Promise<void>
}

export interface RunningCluster {
  /** In the form of KAFKA_BROKERS. */
  readonly brokers: string
  readonly nodes: readonly ClusterNode[]
  /** SIGKILL to all. */
  kill(): Promise<void>
}

export interface ClusterOptions {
  /** Holds a folder per node. */
  readonly dataDir: string
  readonly nodes: number
  readonly heap: readonly string[]
}

/** @throws PlumblineError KAFKA_START */
export async function startKafkaCluster({ dataDir, nodes, heap }: ClusterOptions): Promise<RunningCluster> {
  const { libs, archiveFlags } = await prepareKafka()
  const ports = await freePorts(2 * nodes)
  const clientPorts = ports.slice(0, nodes)
  const controllerPorts = ports.slice(nodes)
  const clusterId = newClusterId()
  const voters = controllerPorts.map((port, i) => `${i + 1}@127.0.0.1:${port}`).join(',')
  const replicas = String(nodes)
  const needed = String(Math.min(2, nodes))
  const startNode = (i: number): Promise<Supervised> =>
    launch({
      libs,
      folder: join(dataDir, `node-${i + 1}`),
      port: clientPorts[i],
      controllerPort: controllerPorts[i],
      jvmFlags: [...heap, ...archiveFlags],
      clusterId,
      properties: {
        'node.id': String(i + 1),
        'controller.quorum.voters': voters,
        'default.replication.factor': replicas,
        'min.insync.replicas': needed,
        'offsets.topic.replication.factor': replicas,
        'transaction.state.log.replication.factor': replicas,
        'transaction.state.log.min.isr': needed,
        'share.coordinator.state.topic.replication.factor': replicas,
        'share.coordinator.state.topic.min.isr': needed,
        // A frozen follower must leave the in-sync set before the writes waiting for it time out.
        'replica.lag.time.max.ms': '3000',
      },
    })
  // None reports that it serves before a majority of controllers is up.
  const running = await Promise.all(clientPorts.map((_, i) => startNode(i)))
  return {
    brokers: clientPorts.map((port) => `127.0.0.1:${port}`).join(','),
    nodes: clientPorts.map((_, i) => nodeOf(i, running, () => startNode(i))),
    kill: async () => void (await Promise.all(running.map((node) => node.kill()))),
  }
}

const nodeOf = (i: number, running: Supervised[], start: () => Promise<Supervised>): ClusterNode => ({
  id: i + 1,
  get pid() {
    return running[i].pid
  },
  isRunning: () => running[i].isRunning(),
  kill: () => running[i].kill(),
  stop: async () => void (await running[i].stop(STOP_TIMEOUT_MS)),
  start: async () => {
    running[i] = await start()
  },
})
