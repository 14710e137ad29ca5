// The stream jobs as a process: refine for its share of the raw partitions, and a sequencer, which is active in one of
// these processes and stands by in the others. Any number of them may run.
import { systemClock } from '../platform/clock.ts'
import { loadConfig } from '../platform/config.ts'
import { Health } from '../platform/health.ts'
import { createApp, listen } from '../platform/http.ts'
import { connectKafka } from '../platform/kafka/kafkajs/client.ts'
import { runMain, runTogether } from '../platform/lifecycle.ts'
import { createLog } from '../platform/log.ts'
import { announce } from '../platform/membership/announcer.ts'
import { memberIdOf } from '../platform/membership/member-id.ts'
import { createMetrics } from '../platform/metrics.ts'
import { ConfigFollower } from '../platform/runtime-config/follower.ts'
import { configMetrics } from '../platform/runtime-config/metrics.ts'
import { baseValues } from '../platform/runtime-config/settings.ts'
import { fetchSchema, registerSchemas } from '../platform/codec/register.ts'
import { REFINE_TOPICS } from '../schemas/topics.ts'
import { RefineConfiguration } from './refine/runtime/configuration.ts'
import { observeRefine } from './refine/runtime/observe.ts'
import type { SequencerMember } from './sequencer/runtime/member.ts'
import { observeSequencer } from './sequencer/runtime/observe.ts'
import { runSequencer, SEQUENCER_TOPICS } from './sequencer/runtime/service.ts'
import { runRefine } from './refine/runtime/service.ts'
import type { Tasks } from './refine/runtime/tasks.ts'

runMain(async (signal) => {
  const config = loadConfig(process.env)
  const log = createLog('stream-jobs', config.LOG_LEVEL)
  const metrics = createMetrics('stream-jobs')
  const health = new Health()
  const observer = observeRefine(metrics, REFINE_TOPICS.raw)
  let tasks: Tasks | null = null
  health.add('partitions', () => {
    if (tasks === null) return { ready: false, detail: 'starting' }
    if (!tasks.joined()) return { ready: false, detail: 'joining the consumer group' }
    const acquiring = tasks.acquiring()
    if (acquiring.length > 0) return { ready: false, detail: `acquiring partitions ${acquiring.join(', ')}` }
    return { ready: true, detail: `${tasks.running().length} partitions run` }
  })
  health.add('progress', () => observer.watch.check(systemClock.mono()))
  const sequencerObserver = observeSequencer(metrics, SEQUENCER_TOPICS.extents)
  let sequencer: SequencerMember | null = null
  // Joining may take as long as the session of one that was killed, and refine need not wait for that.
  health.add('sequencer', () => ({ ready: sequencer?.state !== 'acquiring', detail: sequencer?.state ?? 'starting' }))
  health.add('order', () => sequencerObserver.watch.check(systemClock.mono()))
  const app = createApp({ health, metrics, log, token: config.API_TOKEN })
  const server = await listen(app, config.LISTEN_HOST, config.STREAM_JOBS_PORT, log)
  log.info({ port: server.port }, 'stream jobs listen')
  const schemaIds = await registerSchemas(config.REGISTRY_URL, config.API_TOKEN)
  const kafka = connectKafka(config, log)
  const follower = new ConfigFollower(
    {
      kafka,
      clock: systemClock,
      random: Math.random,
      log,
      fetchSchema: (id) => fetchSchema(config.REGISTRY_URL, id, config.API_TOKEN),
      base: baseValues(config),
      metrics: configMetrics(metrics, () => configuration.applied),
    },
    signal,
  )
  const configuration: RefineConfiguration = new RefineConfiguration(config, follower)
  const announcer = announce({
    config,
    kind: 'stream-jobs',
    kafka,
    clock: systemClock,
    log,
    configVersion: () => configuration.applied,
  })
  const shared = {
    config,
    kafka,
    clock: systemClock,
    random: Math.random,
    log,
    fetchSchema: (id: number) => fetchSchema(config.REGISTRY_URL, id, config.API_TOKEN),
    schemaIds,
  }
  await runTogether(signal, [
    (end) =>
      runRefine({ ...shared, observer, topics: REFINE_TOPICS, configuration }, end, (running) => (tasks = running)),
    (end) =>
      runSequencer(
        {
          ...shared,
          observer: sequencerObserver,
          topics: SEQUENCER_TOPICS,
          memberId: memberIdOf(config, 'stream-jobs'),
        },
        end,
        (member) => (sequencer = member),
      ),
  ])
  await announcer.stop()
  await server.close()
})
