// The stream jobs as a process: refine for its share of the raw partitions, and a sequencer, which is active in one of
// these processes and on standby in the others. Any number of them may run.
import { fetchHighestId, registerSchemas } from '../platform/codec/register.ts'
import { createApp } from '../platform/http.ts'
import { runTogether } from '../platform/lifecycle.ts'
import { memberIdOf } from '../platform/membership/member-id.ts'
import { ConfigFollower } from '../platform/runtime-config/follower.ts'
import { configMetrics } from '../platform/runtime-config/metrics.ts'
import { baseValues } from '../platform/runtime-config/settings.ts'
import { runService } from '../platform/service.ts'
import { REFINE_TOPICS } from '../schemas/topics.ts'
import { RefineConfiguration } from './refine/runtime/configuration.ts'
import { observeRefine } from './refine/runtime/observe.ts'
import { ownedPartitions } from './refine/runtime/partition-report.ts'
import { runRefine } from './refine/runtime/service.ts'
import type { Tasks } from './refine/runtime/tasks.ts'
import { Troubles } from './refine/runtime/troubles.ts'
import type { SequencerMember } from './sequencer/runtime/member.ts'
import { observeSequencer } from './sequencer/runtime/observe.ts'
import { runSequencerApart, SEQUENCER_TOPICS } from './sequencer/runtime/service.ts'

runService('stream-jobs', process.env, async (service) => {
  const { config, kafka, clock, random, log, metrics, health, signal, fetchSchema } = service
  const observer = observeRefine(metrics, REFINE_TOPICS.raw)
  const troubles = new Troubles()
  let tasks: Tasks | null = null
  health.add('partitions', () => {
    const found = troubles.describe(REFINE_TOPICS.raw)
    if (found.length > 0) return { ready: false, detail: found.join('; ') }
    if (tasks === null) return { ready: false, detail: 'starting' }
    if (!tasks.joined()) return { ready: false, detail: 'joining the consumer group' }
    const acquiring = tasks.acquiring()
    if (acquiring.length > 0) return { ready: false, detail: `acquiring partitions ${acquiring.join(', ')}` }
    return { ready: true, detail: `${tasks.running().length} partitions run` }
  })
  health.add('progress', () => observer.watch.check(clock.mono()))
  const sequencerObserver = observeSequencer(metrics, SEQUENCER_TOPICS.extents)
  let sequencer: SequencerMember | null = null
  let stopped: Error | null = null
  // Joining may take as long as a killed member's session timeout, and refine need not wait for that.
  health.add('sequencer', () => {
    if (stopped !== null) return { ready: false, detail: `the order has stopped: ${stopped.message}` }
    return { ready: sequencer?.state !== 'acquiring', detail: sequencer?.state ?? 'starting' }
  })
  health.add('order', () => sequencerObserver.watch.check(clock.mono()))
  const memberId = memberIdOf(config, 'stream-jobs')
  const app = createApp(service.http)
  app.get('/partitions', (_request, response) => {
    response.json({ partitions: ownedPartitions(tasks, troubles, REFINE_TOPICS.raw, memberId) })
  })
  await service.listen(app, config.STREAM_JOBS_PORT)
  const schemaIds = await registerSchemas(config.REGISTRY_URL, config.API_TOKEN)
  const follower = new ConfigFollower(
    {
      kafka,
      clock,
      random,
      log,
      fetchSchema,
      base: baseValues(config),
      metrics: configMetrics(metrics, () => configuration.applied),
    },
    signal,
  )
  const configuration: RefineConfiguration = new RefineConfiguration(config, follower)
  service.announce({ kind: 'stream-jobs', configVersion: () => configuration.applied })
  const shared = { config, kafka, clock, random, log, fetchSchema, schemaIds }
  const fetchHighest = (): Promise<number | null> => fetchHighestId(config.REGISTRY_URL, config.API_TOKEN)
  const refine = { ...shared, fetchHighest, observer, topics: REFINE_TOPICS, configuration, troubles }
  const order = {
    ...shared,
    observer: sequencerObserver,
    topics: SEQUENCER_TOPICS,
    memberId,
  }
  return () =>
    runTogether(signal, [
      (end) => runRefine(refine, end, (running) => (tasks = running)),
      (end) =>
        runSequencerApart(
          order,
          end,
          (member) => (sequencer = member),
          (error) => (stopped = error),
        ),
    ])
})
