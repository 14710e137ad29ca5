// A real Apache Kafka on this machine, without Docker: one process that is broker and controller, on loopback, with
// its data in one folder. It can be killed and started again on the same folder and port, and it never outlives the
// process that started it (supervise.ts).
import { randomUUID } from 'node:crypto'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve as absolute } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { messageOf, PlumblineError } from '../../platform/errors.ts'
import { freePorts } from './free-port.ts'
import { log4jProperties, serverProperties, STARTED } from './kafka-config.ts'
import { ensureKafkaJars, type Progress } from './kafka-jars.ts'
import { supervise, tailOf, waitUntil, type Supervised } from './supervise.ts'

export { ensureKafkaJars, type Progress } from './kafka-jars.ts'

const run = promisify(execFile)
/** A start takes 3 s; recovery after SIGKILL of a large log on a busy machine takes longer. */
const START_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 30_000
/** A broker whose starter was killed a moment ago is being stopped by its supervisor, which takes at most this long. */
const ORPHAN_WAIT_MS = 30_000
const DEFAULT_HEAP = ['-Xms256m', '-Xmx1G']
/** G1 with Kafka's own pause goal, on which its throughput was measured. */
const JVM_FLAGS = [
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:+ExitOnOutOfMemoryError',
  '-Djava.awt.headless=true',
]

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
  /** As KAFKA_BROKERS wants it: host:port. */
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

/**
 * Starts the broker; resolves when it serves clients.
 * @throws PlumblineError KAFKA_START with the end of the broker's log
 */
export async function startKafka({
  dataDir,
  port,
  heap = DEFAULT_HEAP,
  properties = {},
  progress = () => {},
}: KafkaOptions): Promise<RunningKafka> {
  const folder = absolute(dataDir)
  const libs = await ensureKafkaJars(progress)
  mkdirSync(folder, { recursive: true })
  await waitForFormerBroker(folder)
  const [freeClient, controllerPort] = await freePorts(2)
  const clientPort = port === 0 ? freeClient : port
  const files = {
    log: join(folder, 'log'),
    server: join(folder, 'server.properties'),
    log4j: join(folder, 'log4j2.properties'),
    output: join(folder, 'broker.log'),
  }
  writeFileSync(files.server, serverProperties({ logDir: files.log, port: clientPort, controllerPort, properties }))
  writeFileSync(files.log4j, log4jProperties(files.output))
  const java = ['-cp', join(libs, '*'), `-Dlog4j2.configurationFile=${files.log4j}`]
  if (!existsSync(join(files.log, 'meta.properties'))) await format(java, files.server, files.log)
  progress(`starting Kafka on 127.0.0.1:${clientPort}`)
  const broker = await supervise({
    command: 'java',
    args: [...heap, ...JVM_FLAGS, ...java, 'kafka.Kafka', files.server],
  })
  writeFileSync(pidFile(folder), String(broker.pid))
  await started(broker, files.output)
  return {
    brokers: `127.0.0.1:${clientPort}`,
    port: clientPort,
    pid: broker.pid,
    exited: broker.exited,
    stop: async () => void (await broker.stop(STOP_TIMEOUT_MS)),
    kill: broker.kill,
  }
}

async function format(java: readonly string[], serverFile: string, logDir: string): Promise<void> {
  const clusterId = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url')
  const tool = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', serverFile]
  try {
    await run('java', ['-Xmx256m', '-XX:TieredStopAtLevel=1', ...java, ...tool])
  } catch (error) {
    // A half-formatted folder would be taken for a formatted one.
    rmSync(join(logDir, 'meta.properties'), { force: true })
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    const said = `${stdout}${stderr}`.trim() || messageOf(error)
    throw new PlumblineError(
      'KAFKA_START',
      `Kafka's storage cannot be formatted in ${logDir}:\n${said.slice(0, 2_000)}`,
      {
        cause: error,
      },
    )
  }
}

async function started(broker: Supervised, logFile: string): Promise<void> {
  const said = tailOf([broker.stdout, broker.stderr], 4_000)
  const startup = await waitUntil(broker, () => said.text().includes(STARTED), START_TIMEOUT_MS)
  if (startup.ready) return
  await broker.kill()
  throw new PlumblineError(
    'KAFKA_START',
    `Kafka ${startup.why}; the end of ${logFile}:\n${lastLines(logFile)}\n${said.text().trim()}`,
  )
}

function lastLines(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n').slice(-12).join('\n') : '(no log)'
}

const pidFile = (folder: string): string => join(folder, 'broker.pid')

/** Two brokers on one folder would destroy each other's data; one that is just ending is waited for. */
async function waitForFormerBroker(folder: string): Promise<void> {
  if (!existsSync(pidFile(folder))) return
  const pid = Number(readFileSync(pidFile(folder), 'utf8'))
  for (let waitedMs = 0; isOurs(pid, folder); waitedMs += 200) {
    if (waitedMs >= ORPHAN_WAIT_MS)
      throw new PlumblineError('KAFKA_RUNNING', `a broker already runs on ${folder} (process ${pid}): stop it first`)
    await delay(200)
  }
}

/** A process id may have been given to somebody else since: only a process that names our folder counts. */
function isOurs(pid: number, folder: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(join(folder, 'server.properties'))
  } catch {
    return false
  }
}
