// A replica as a process: `main.ts --id r1 --dir data [--resume]`. Several may run on one machine, each with a folder of
// its own; a lock beside the folder keeps two of them from writing one.
import { join } from 'node:path'
import { systemClock } from '../../platform/clock.ts'
import { loadConfig } from '../../platform/config.ts'
import { ConfigError } from '../../platform/errors.ts'
import { tryFileLock } from '../../platform/file-lock.ts'
import { Health } from '../../platform/health.ts'
import { createApp, listen } from '../../platform/http.ts'
import { connectKafka } from '../../platform/kafka/kafkajs/client.ts'
import { runMain } from '../../platform/lifecycle.ts'
import { createLog } from '../../platform/log.ts'
import { announce } from '../../platform/membership/announcer.ts'
import { memberIdOf } from '../../platform/membership/member-id.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { cachedSchemas } from '../../platform/codec/register.ts'
import { readArguments } from './arguments.ts'
import { inspectFolder, prepareFolder } from './folder.ts'
import { Replica } from './replica.ts'
import { ReplicaMetrics } from './replica-metrics.ts'
import { ReplicaError, type ReplicaState } from './state.ts'

runMain(async (signal) => {
  const { id, root, resume } = readArguments(process.argv.slice(2))
  const config = loadConfig(process.env)
  const log = createLog('replica', config.LOG_LEVEL)
  const registry = createMetrics('replica')
  const health = new Health()
  const dir = join(root, id)
  const { state, unlock } = takeFolder(root, dir, id, resume)
  const kafka = connectKafka(config, log)
  const replica = new Replica({
    kafka,
    clock: systemClock,
    random: Math.random,
    log,
    fetchSchema: cachedSchemas(config.REGISTRY_URL, config.API_TOKEN),
    metrics: new ReplicaMetrics(registry),
    dir,
    state,
  })
  health.add('order', () => replica.check())
  const app = createApp({ health, metrics: registry, log, token: config.API_TOKEN })
  const { port, close } = await listen(app, config.LISTEN_HOST, config.REPLICA_PORT, log)
  log.info({ port, dir, resume }, 'replica listens')
  const member = { ...config, MEMBER_ID: memberIdOf(config, `replica-${id}`) }
  const announcer = announce({ config: member, kind: 'replica', kafka, clock: systemClock, log })
  try {
    await replica.run(signal)
  } finally {
    await close()
    unlock()
  }
  await announcer.stop()
})

/** Starting it again does not help when the folder cannot be used, so that is an error of its configuration. */
function takeFolder(
  root: string,
  dir: string,
  id: string,
  resume: boolean,
): { state: ReplicaState; unlock: () => void } {
  try {
    inspectFolder(dir, id)
    const unlock = tryFileLock(join(root, `.${id}.lock`))
    if (unlock === null) throw new ReplicaError('LOCKED', `another process writes the replica ${id} in ${dir}`)
    return { state: prepareFolder(dir, id, resume), unlock }
  } catch (error) {
    throw error instanceof ReplicaError ? new ConfigError(error.message) : error
  }
}
