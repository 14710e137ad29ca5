// A replica as a process: `main.ts --id r1 --dir data [--resume]`. Several may run on one machine, each with a folder of
// its own; a lock beside the folder keeps two of them from writing one.
import { join } from 'node:path'
import { ConfigError, messageOf } from '../../platform/errors.ts'
import { tryFileLock } from '../../platform/file-lock.ts'
import { createApp } from '../../platform/http.ts'
import { memberIdOf } from '../../platform/membership/member-id.ts'
import { runService } from '../../platform/service.ts'
import { readArguments } from './arguments.ts'
import { inspectFolder, prepareFolder } from './folder.ts'
import { Replica } from './replica.ts'
import { ReplicaMetrics } from './replica-metrics.ts'
import { ReplicaError, type ReplicaState } from './state.ts'

runService('replica', process.env, async (service) => {
  const { id, root, resume } = readArguments(process.argv.slice(2))
  const { config, kafka, clock, random, log, fetchSchema, signal } = service
  const dir = join(root, id)
  const { state, unlock } = takeFolder(root, dir, id, resume)
  service.onStop(unlock)
  const metrics = new ReplicaMetrics(service.metrics)
  const replica = new Replica({ kafka, clock, random, log, fetchSchema, metrics, dir, state })
  service.health.add('order', () => replica.check())
  await service.listen(createApp(service.http), config.REPLICA_PORT)
  log.info({ dir, resume }, 'replica starts')
  service.announce({ kind: 'replica', memberId: memberIdOf(config, `replica-${id}`) })
  return () => replica.run(signal)
})

/** A restart does not help when the folder cannot be used, so this is a configuration error. */
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
    if (error instanceof ReplicaError) throw new ConfigError(error.message)
    if ((error as NodeJS.ErrnoException).syscall !== undefined)
      throw new ConfigError(`the replica cannot use ${dir}: ${messageOf(error)}; choose another --dir`)
    throw error
  }
}
