// The whole pipeline on this machine: Kafka, Redis and the services, started in dependency order
// and stopped in the order of the flow, so that data in flight are taken in before the next part stops.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { ensureKafkaJars, startKafka } from '../local/kafka.ts'
import { startRedis } from '../local/redis.ts'
import { ensureTools } from '../local/tools.ts'
import { loadConfig } from '../../platform/config.ts'
import { connectKafka } from '../../platform/kafka/kafkajs/client.ts'
import { createLog } from '../../platform/log.ts'
import { TOPICS } from '../../schemas/topics.ts'
import { type Claim, claimInstance } from './instance.ts'
import { ServerSupervisor } from './server-supervisor.ts'
import { awaitFormer, makePlan, type Plan, type ServiceName } from './plan.ts'
import { Service } from './service.ts'
import type { Progress, Steps } from './steps.ts'

const STOP_ORDER: readonly ServiceName[] = ['producers', 'stream-jobs', 'sinks', 'replica', 'query-api', 'registry']
const STOP_WAITS_FOR: Readonly<Record<ServiceName, string>> = {
  producers: 'what they have accepted goes to Kafka',
  'stream-jobs': 'open transactions are committed',
  sinks: 'their last batches are written',
  replica: 'their rows go to disk',
  'query-api': 'open requests are answered',
  registry: '',
}

export interface StackOptions {
  readonly env: Readonly<Record<string, string>>
  readonly dataDir: string
  readonly streamJobs: number
  /** Replicas of the total order; none if not given. */
  readonly replicas?: number
  /** Command line of the producers: the simulated fleet. */
  readonly fleet: readonly string[]
}

export class Stack {
  readonly #options: StackOptions
  readonly #services = new Map<ServiceName, Service[]>()
  readonly #kafka: ServerSupervisor
  readonly #redis: ServerSupervisor
  /** Generated at every start: other users of this machine cannot read or poison the cache. */
  readonly #redisPassword = randomBytes(24).toString('base64url')
  #claim: Claim | null = null
  #plan: Plan | null = null
  #startedMs = 0

  constructor(options: StackOptions) {
    this.#options = options
    const { dataDir } = options
    this.#kafka = new ServerSupervisor((port) => startKafka({ dataDir: join(dataDir, 'kafka-data'), port }))
    this.#redis = new ServerSupervisor((port) =>
      startRedis({ dataDir: join(dataDir, 'redis'), port, password: this.#redisPassword }),
    )
  }

  /** What was decided before the start. Throws if `start` has not got that far: a bug. */
  get plan(): Plan {
    if (this.#plan === null) throw new Error('the stack has no plan yet')
    return this.#plan
  }

  get kafkaPid(): number {
    return this.#kafka.pid
  }

  get startedMs(): number {
    return this.#startedMs
  }

  services(): Service[] {
    return [...this.#services.values()].flat()
  }

  /** Restarts of all parts together. */
  restarts(): number {
    return this.services().reduce((sum, service) => sum + service.restarts, this.#kafka.restarts + this.#redis.restarts)
  }

  /**
   * Starts everything; resolves when every part says that it is ready. After a rejection `stop` must be called.
   * @throws PlumblineError; ConfigError; StoppedError when the steps are interrupted
   */
  async start(steps: Steps): Promise<void> {
    const { dataDir, env, streamJobs, replicas = 0, fleet } = this.#options
    loadConfig(env)
    this.#claim = claimInstance(dataDir)
    this.#startedMs = Date.now()
    await steps.run('Java, Maven and Redis are installed', (progress) =>
      ensureTools(['java', 'maven', 'redis'], progress),
    )
    await steps.run('Kafka’s jars are there', async (progress) => void (await ensureKafkaJars(progress)))
    await steps.run('ports are free', async (progress) => {
      await awaitFormer(dataDir, progress)
      this.#plan = await makePlan(env, { streamJobs, replicas, fleet })
    })
    const { kafkaPort, addresses } = this.plan
    await steps.run('Kafka', async (progress) => {
      progress('starting the broker')
      await this.#kafka.start(kafkaPort)
      return `on ${addresses.KAFKA_BROKERS}`
    })
    await steps.run('topics', () => this.#createTopics())
    // For the query API's cache; nothing asks it yet, so no process is given its address.
    await steps.run('Redis', async () => `on 127.0.0.1:${await this.#redis.start(0)}`)
    await this.#startServices(steps, 'registry', 'schema registry')
    await this.#startServices(steps, 'sinks', 'sinks')
    await this.#startServices(steps, 'stream-jobs', 'stream jobs')
    if (replicas > 0) await this.#startServices(steps, 'replica', 'replicas')
    await this.#startServices(steps, 'query-api', 'query API')
    await this.#startServices(steps, 'producers', 'producers')
  }

  /** Stops the producers; what they have accepted is in Kafka afterwards. */
  async stopProducers(steps: Steps): Promise<void> {
    await this.#stopServices(steps, 'producers')
  }

  /** Stops everything in order; parts that never started are skipped, and one that fails to stop keeps nobody else running. */
  async stop(steps: Steps): Promise<void> {
    for (const name of STOP_ORDER) await this.#stopServices(steps, name).catch(ignore)
    if (this.#plan !== null) {
      const stopServers = async (progress: Progress): Promise<void> => {
        progress('Kafka writes its logs to disk')
        await Promise.all([this.#redis.stop(), this.#kafka.stop()])
      }
      await steps.run('Redis and Kafka stopped', stopServers).catch(ignore)
    }
    this.#release()
  }

  /** SIGKILL to all of it. */
  async kill(): Promise<void> {
    await Promise.all([...this.services().map((service) => service.kill()), this.#redis.kill(), this.#kafka.kill()])
    this.#release()
  }

  #release(): void {
    this.#claim?.release()
    this.#claim = null
  }

  async #createTopics(): Promise<string> {
    const { config } = this.plan
    const admin = await connectKafka(config, createLog('up', 'error')).admin()
    try {
      const partitions = { data: config.TOPIC_PARTITIONS, one: 1 }
      await admin.ensureTopics(
        TOPICS.map(({ name, partitioning, configs }) => ({ name, partitions: partitions[partitioning], configs })),
      )
    } finally {
      await admin.close()
    }
    return `${TOPICS.length}, data topics with ${config.TOPIC_PARTITIONS} partitions`
  }

  async #startServices(steps: Steps, name: ServiceName, title: string): Promise<void> {
    const specs = this.plan.services[name]
    await steps.run(title, async (progress) => {
      const services = specs.map((spec) => new Service(spec, () => this.#record()))
      this.#services.set(name, services)
      await Promise.all(services.map((service) => service.start(progress)))
      return `on ${specs.map(({ url }) => url).join(', ')}`
    })
  }

  async #stopServices(steps: Steps, name: ServiceName): Promise<void> {
    const services = this.#services.get(name)
    if (services === undefined) return
    await steps.run(`${name} stopped`, async (progress) => {
      progress(STOP_WAITS_FOR[name])
      await Promise.all(services.map((service) => service.stop()))
    })
    this.#services.delete(name)
  }

  /** Records where everything is, after every change. */
  #record(): void {
    const services = this.services().map(({ spec, state, restarts }) => ({
      name: spec.name,
      service: spec.service,
      main: spec.main,
      url: spec.url,
      pid: state.kind === 'running' ? state.pid : 0,
      restarts,
    }))
    this.#claim?.write({ pid: process.pid, startedMs: this.#startedMs, addresses: this.plan.addresses, services })
  }
}

/** The step has shown its failure, and whatever is left is stopped by its supervisor when we exit. */
const ignore = (): void => {}
