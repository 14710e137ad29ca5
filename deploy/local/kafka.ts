// A real Apache Kafka on this machine, without Docker: one process that is broker and controller, on loopback, with
// its data in one folder. It can be killed and started again on the same folder and port, and it never outlives the
// process that started it (supervise.ts).
import { existsSync, readFileSync } from 'node:fs'
import { resolve as absolute } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePorts } from '../../platform/free-port.ts'
import { classArchiveFlags } from './kafka-archive.ts'
import { ensureKafkaJars, type Progress } from './kafka-jars.ts'
import { launch, pidFile, serverFile } from './kafka-launch.ts'
import { DeployError } from '../errors.ts'

export { ensureKafkaJars, type Progress } from './kafka-jars.ts'

const STOP_TIMEOUT_MS = 30_000
/** A broker whose starter was killed a moment ago is being stopped by its supervisor, which takes at most this long. */
const ORPHAN_WAIT_MS = 30_000
const DEFAULT_HEAP = ['-Xms256m', '-Xmx1G']

export interface KafkaOptions {
  /** Holds the log and the configuration; made if absent. */
  readonly dataDir: string
  /** Port for clients; 0 takes a free one. */
  readonly port: number
  /** JVM heap settings. */
  readonly heap?: readonly string[]
  /** Broker properties added to ours or in their place (listeners with TLS or SASL, for instance). */
  readonly properties?: Readonly<Record<string, string>>
  readonly progress?: Progress
}

export interface RunningKafka {
  /** In the form of KAFKA_BROKERS: host:port. */
  readonly brokers: string
  readonly port: number
  readonly pid: number
  /** Resolves with the exit code when the broker has ended, for whatever reason. */
  readonly exited: Promise<number>
  /** Clean stop: SIGTERM, SIGKILL only if that takes too long. */
  stop(): Promise<void>
  /** SIGKILL, as a crash would be. */
  kill(): Promise<void>
}

/** What is needed once per checkout: Kafka's jars, and the archive that speeds up its starts. */
export async function prepareKafka(progress: Progress = () => {}): Promise<{ libs: string; archiveFlags: string[] }> {
  const libs = await ensureKafkaJars(progress)
  return { libs, archiveFlags: await classArchiveFlags(libs, progress) }
}

/**
 * Starts the broker; resolves when it serves clients.
 * @throws PlumblineError KAFKA_START with the end of the broker's log, KAFKA_RUNNING when the folder is in use
 */
export async function startKafka({
  dataDir,
  port,
  heap = DEFAULT_HEAP,
  properties = {},
  progress = () => {},
}: KafkaOptions): Promise<RunningKafka> {
  const folder = absolute(dataDir)
  const { libs, archiveFlags } = await prepareKafka(progress)
  await waitForFormerBroker(folder)
  const [freeClient, controllerPort] = await freePorts(2)
  const clientPort = port === 0 ? freeClient : port
  progress(`starting Kafka on 127.0.0.1:${clientPort}`)
  const jvmFlags = [...heap, ...archiveFlags]
  const broker = await launch({ libs, folder, port: clientPort, controllerPort, jvmFlags, properties })
  return {
    brokers: `127.0.0.1:${clientPort}`,
    port: clientPort,
    pid: broker.pid,
    exited: broker.exited,
    stop: async () => void (await broker.stop(STOP_TIMEOUT_MS)),
    kill: broker.kill,
  }
}

/** Two brokers on one folder would destroy each other's data; waits for one that is shutting down. */
async function waitForFormerBroker(folder: string): Promise<void> {
  if (!existsSync(pidFile(folder))) return
  const pid = Number(readFileSync(pidFile(folder), 'utf8'))
  for (let waitedMs = 0; isOurs(pid, folder); waitedMs += 200) {
    if (waitedMs >= ORPHAN_WAIT_MS)
      throw new DeployError('KAFKA_RUNNING', `a broker already runs on ${folder} (process ${pid}): stop it first`)
    await delay(200)
  }
}

/** The process id may have been reused since: only a process that names our folder counts. */
function isOurs(pid: number, folder: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(serverFile(folder))
  } catch {
    return false
  }
}
