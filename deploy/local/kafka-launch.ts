// One start of the broker's JVM: writes its configuration, formats its storage the first time, runs it under
// supervision and waits until it serves.
import { randomUUID } from 'node:crypto'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { SECRET_NAMES } from '../../platform/config.ts'
import { messageOf } from '../../platform/errors.ts'
import { isPortFree } from '../../platform/free-port.ts'
import { log4jProperties, serverProperties, STARTED } from './kafka-config.ts'
import { supervise, tailOf, waitUntil, type Supervised } from './supervise.ts'
import { DeployError } from '../errors.ts'

const run = promisify(execFile)
/** A start takes 3 s; recovery after SIGKILL of a large log on a busy machine takes longer. */
const START_TIMEOUT_MS = 120_000
/** G1 with Kafka's own pause goal, on which its throughput was measured. */
const JVM_FLAGS = [
  '-server',
  '-XX:+UseG1GC',
  // In its first minutes the optimising compiler takes more of two cores than the broker itself, see ENGINEERING_NOTES.
  '-XX:TieredStopAtLevel=1',
  '-XX:MaxGCPauseMillis=20',
  '-XX:+ExitOnOutOfMemoryError',
  '-Djava.awt.headless=true',
]

export interface Launch {
  /** The folder of Kafka's jars. */
  readonly libs: string
  /** Absolute path; holds log and configuration. */
  readonly folder: string
  readonly port: number
  readonly controllerPort: number
  /** Heap and other flags besides our own. */
  readonly jvmFlags: readonly string[]
  readonly properties: Readonly<Record<string, string>>
  /** Brokers of one cluster share it; a single broker gets one of its own. */
  readonly clusterId?: string
}

/** A new cluster id, in the form that Kafka's storage tool takes. */
export const newClusterId = (): string => Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url')

export const serverFile = (folder: string): string => join(folder, 'server.properties')
export const pidFile = (folder: string): string => join(folder, 'broker.pid')

/** @throws PlumblineError KAFKA_START with the end of the broker's log */
export async function launch({
  libs,
  folder,
  port,
  controllerPort,
  jvmFlags,
  properties,
  clusterId = newClusterId(),
}: Launch): Promise<Supervised> {
  mkdirSync(folder, { recursive: true })
  const logDir = join(folder, 'log')
  const output = join(folder, 'broker.log')
  const log4j = join(folder, 'log4j2.properties')
  writeFileSync(serverFile(folder), serverProperties({ logDir, port, controllerPort, properties }))
  writeFileSync(log4j, log4jProperties(output))
  const java = ['-cp', join(libs, '*'), `-Dlog4j2.configurationFile=${log4j}`]
  if (!existsSync(join(logDir, 'meta.properties'))) await format(java, serverFile(folder), logDir, clusterId)
  const args = [...jvmFlags, ...JVM_FLAGS, ...java, 'kafka.Kafka', serverFile(folder)]
  const broker = await supervise({ command: 'java', args, without: SECRET_NAMES })
  writeFileSync(pidFile(folder), String(broker.pid))
  await started(broker, output, port)
  return broker
}

async function format(java: readonly string[], properties: string, logDir: string, clusterId: string): Promise<void> {
  // In one word: an id may begin with a dash.
  const tool = ['kafka.tools.StorageTool', 'format', `--cluster-id=${clusterId}`, '-c', properties]
  try {
    await run('java', ['-Xmx256m', '-XX:TieredStopAtLevel=1', ...java, ...tool])
  } catch (error) {
    // A half-formatted folder would be taken for a formatted one.
    rmSync(join(logDir, 'meta.properties'), { force: true })
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    const said = `${stdout}${stderr}`.trim() || messageOf(error)
    throw new DeployError('KAFKA_START', `Kafka's storage cannot be formatted in ${logDir}:\n${said.slice(0, 2_000)}`, {
      cause: error,
    })
  }
}

async function started(broker: Supervised, logFile: string, port: number): Promise<void> {
  const said = tailOf([broker.stdout, broker.stderr], 4_000)
  const startup = await waitUntil(broker, () => said.text().includes(STARTED), START_TIMEOUT_MS)
  if (startup.ready) return
  await broker.kill()
  // It was free when checked; the broker's own message would name the socket that failed, not the setting to change.
  if (!(await isPortFree(port)))
    throw new DeployError(
      'PORT_IN_USE',
      `port ${port} has been taken by another program since it was checked: stop that one, or set KAFKA_BROKERS=127.0.0.1:${port + 1}`,
    )
  throw new DeployError(
    'KAFKA_START',
    `Kafka ${startup.why}; the end of ${logFile}:\n${lastLines(logFile)}\n${said.text().trim()}`,
  )
}

function lastLines(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n').slice(-12).join('\n') : '(no log)'
}
