// The frame of every long-running process: the configuration read once, log, metrics, health, the broker's client, HTTP,
// the announcement as a member, and a clean stop. A main.ts says only what is its own:
//   runService('sinks', process.env, async (service) => { …; await service.listen(app, port); return work })
// What the process opens it hands to `onStop` at once, so that it is closed in reverse order whether the process is
// stopped, its work fails, or its start does.
import type { Express } from 'express'
import { type Clock, systemClock } from './clock.ts'
import { cachedSchemas, type FetchSchema } from './codec/register.ts'
import { type Config, loadConfig } from './config.ts'
import { Health } from './health.ts'
import { type AppOptions, listen } from './http.ts'
import { connectKafka } from './kafka/kafkajs/client.ts'
import type { Kafka } from './kafka/port.ts'
import { aborted, runMain } from './lifecycle.ts'
import { createLog, type Logger } from './log.ts'
import { type Announcer, announce } from './membership/announcer.ts'
import type { MemberKind } from './membership/heartbeat.ts'
import { createMetrics, type Registry } from './metrics.ts'
import { pause } from './retry.ts'

/** After a failure the supervisor waits for the exit: closing must not take longer than this, ms. */
const FAILED_STOP_MS = 10_000

export interface Announcement {
  readonly kind: MemberKind
  /** MEMBER_ID; by default a name built from kind, host and process. */
  readonly memberId?: string
  /** The applied version of the runtime configuration, where the process applies it. */
  readonly configVersion?: () => number
}

export interface Service {
  readonly config: Config
  readonly log: Logger
  readonly metrics: Registry
  readonly health: Health
  /** Nothing connects before one of its clients is asked for. */
  readonly kafka: Kafka
  readonly clock: Clock
  readonly random: () => number
  readonly fetchSchema: FetchSchema
  /** Fires when the process is to stop. */
  readonly signal: AbortSignal
  /** For `createApp`. */
  readonly http: AppOptions
  /** Listens on LISTEN_HOST until the stop; returns the port. */
  listen(app: Express, port: number): Promise<number>
  /** Called at the stop, the last registered first. */
  onStop(close: () => unknown): void
  /** Sends heartbeats from now on; a clean stop says so to the others when everything is closed. */
  announce(announcement: Announcement): void
}

/** Starts the process; returns its work, which ends when the signal fires, or nothing when it only serves. */
export type Build = (service: Service) => Promise<(() => Promise<unknown>) | void>

/**
 * Runs a process to its end; see `runMain` for signals and exit codes.
 * @param env the environment, which only a main.ts reads
 */
export function runService(name: string, env: Readonly<Record<string, string | undefined>>, build: Build): void {
  runMain(async (signal) => {
    const config = loadConfig(env)
    const log = createLog(name, config.LOG_LEVEL)
    await serve(name, { config, log, kafka: connectKafka(config, log), signal }, build)
  })
}

/** As `runService`, with what it makes of the environment given. */
export async function serve(
  name: string,
  given: Pick<Service, 'config' | 'log' | 'kafka' | 'signal'>,
  build: Build,
): Promise<void> {
  const { config, log, kafka, signal } = given
  const metrics = createMetrics(name)
  const health = new Health()
  const closers: (() => unknown)[] = []
  let announcer: Announcer | null = null
  const service: Service = {
    ...given,
    metrics,
    health,
    clock: systemClock,
    random: Math.random,
    fetchSchema: cachedSchemas(config.REGISTRY_URL, config.API_TOKEN),
    http: { health, metrics, log, token: config.API_TOKEN },
    listen: async (app, wanted) => {
      const { port, close } = await listen(app, config.LISTEN_HOST, wanted, log)
      closers.push(close)
      log.info({ port }, 'listening')
      return port
    },
    onStop: (close) => void closers.push(close),
    announce: ({ memberId, ...announcement }) => {
      const member = memberId === undefined ? config : { ...config, MEMBER_ID: memberId }
      announcer = announce({ ...announcement, config: member, kafka, clock: systemClock, log })
    },
  }
  let failure: { readonly error: unknown } | null = null
  try {
    const work = await build(service)
    await (work === undefined ? aborted(signal) : work())
  } catch (error) {
    failure = { error }
  }
  const closing = closeAll(closers, log)
  if (failure !== null) {
    await Promise.race([closing, pause(FAILED_STOP_MS)])
    throw failure.error
  }
  await closing
  // A failed process does not announce that it leaves: it is restarted, and its time-out shows that it was down.
  await (announcer as Announcer | null)?.stop()
}

/** Closes in reverse order. One that fails does not keep the others open; its error is the result. */
async function closeAll(closers: readonly (() => unknown)[], log: Logger): Promise<void> {
  const failures: unknown[] = []
  for (const close of closers.toReversed()) {
    try {
      await close()
    } catch (error) {
      log.warn({ err: error }, 'closing failed')
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}
