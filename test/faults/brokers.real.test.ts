// Three brokers, every topic on all of them, a write counted once two have it: each broker is killed under load and comes
// back, all are restarted one after the other, one is frozen, two of three are away at once. Every partition's leader
// and every coordinator of groups and transactions is among the victims. Nothing may be lost, and what stops must continue
// by itself.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { audit } from '../../audit/audit.ts'
import { untilSettled } from '../../audit/settle.ts'
import { loadConfig } from '../../platform/config.ts'
import { freePorts } from '../../platform/free-port.ts'
import { CLEAN, EXTENTS, ORDER, RAW } from '../../schemas/topics.ts'
import { bare } from '../fixtures/bare.ts'
import type { TestCluster } from '../fixtures/kafka-cluster.ts'
import { readMetric, until } from '../fixtures/metric.ts'
import { ordered, orderProblems, QUICK_MEMBERS } from '../fixtures/order.ts'
import type { ServiceProcess } from '../fixtures/processes.ts'
import { type Stack, startStack } from '../fixtures/refine.ts'
import { fleetArguments, fleetWith } from '../../producers/nodes/options.ts'

const FLEET = fleetArguments(fleetWith({ nodes: 4, sensors: 20, rateHz: 5, seed: 7 }))
/** Their leaders are what a killed broker takes with it. */
const LED = [RAW, CLEAN, EXTENTS, ORDER, '__consumer_offsets', '__transaction_state']
/** Longer than the session of refine (3 s here), of a broker (3 s) and than `replica.lag.time.max.ms`. */
const FROZEN_MS = 8_000
const SETTLE_MS = 120_000

interface Leader {
  readonly partition: string
  readonly leader: number
  readonly isInSync: boolean
}

let stack: Stack
let cluster: TestCluster
let dataDir: string
let env: Record<string, string>
let producers: ServiceProcess
let services: ServiceProcess[]

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'plumbline-brokers-'))
  stack = await startStack(6, { brokers: 3 })
  cluster = stack.cluster!
  const [producersPort, sinksPort] = await freePorts(2)
  env = stack.env({
    DATA_DIR: dataDir,
    SQLITE_FILE: join(dataDir, 'store.sqlite'),
    PRODUCERS_PORT: String(producersPort),
    SINKS_PORT: String(sinksPort),
    SINK_SESSION_MS: '3000',
  })
  const start = (main: string, port: string, args: readonly string[] = []): Promise<ServiceProcess> =>
    stack.processes.start({ main, args, env, ready: { url: `http://127.0.0.1:${port}/readyz` } })
  const refine = await stack.startRefine(QUICK_MEMBERS)
  const sinks = await start('sinks/main.ts', env.SINKS_PORT)
  producers = await start('producers/main.ts', env.PRODUCERS_PORT, FLEET)
  services = [stack.registry, refine, sinks, producers]
})
afterAll(async () => {
  await stack?.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

const leaders = (): Promise<Leader[]> => bare<Leader[]>('leaders', { brokers: cluster.brokers, topics: LED })
/** Rows that the sink has written; the metric appears with the first ones. */
const stored = (): Promise<number> =>
  readMetric(`http://127.0.0.1:${env.SINKS_PORT}`, 'plumbline_sink_rows_total').catch(() => 0)
const accepted = (): Promise<number> =>
  readMetric(`http://127.0.0.1:${env.PRODUCERS_PORT}`, 'plumbline_producer_accepted_total')

/** Readings that are accepted from now on reach the store: all of the flow works. */
async function flows(when: string): Promise<void> {
  // What is accepted by now may be in the store already; as much again cannot be.
  const enough = (await stored()) + 400 + ((await accepted()) - (await stored()))
  await until(async () => (await stored()) >= enough, `readings reach the store ${when}`)
}

describe('X-12: three brokers', () => {
  it('readings reach the store while any one broker is dead, whatever it led', { timeout: 300_000 }, async () => {
    await flows('with all brokers')
    const taken = new Set<string>()
    for (const node of cluster.nodes) {
      const led = (await leaders()).filter(({ leader }) => leader === node.id)
      expect(led.length, `broker ${node.id} leads something`).toBeGreaterThan(0)
      for (const { partition } of led) taken.add(partition)
      await node.kill()
      await flows(`without broker ${node.id}`)
      expect((await leaders()).map(({ leader }) => leader)).not.toContain(node.id)
      await node.start()
      await inSync()
    }
    expect(taken.size, 'every partition has lost its leader').toBe((await leaders()).length)
  })

  it('readings reach the store through a rolling restart', { timeout: 300_000 }, async () => {
    for (const node of cluster.nodes) {
      await node.stop()
      await node.start()
      await inSync()
    }
    await flows('after a rolling restart')
  })

  it('a frozen broker is worked around, and is a follower again once it continues', { timeout: 300_000 }, async () => {
    const [{ leader }] = await leaders()
    const node = cluster.nodes[leader - 1]
    process.kill(node.pid, 'SIGSTOP')
    try {
      await delay(FROZEN_MS)
      await flows(`while broker ${node.id} is frozen`)
    } finally {
      process.kill(node.pid, 'SIGCONT')
    }
    await inSync()
  })

  it(
    'two brokers of three away: readings are accepted and wait, and reach the store afterwards',
    { timeout: 300_000 },
    async () => {
      const [first, second] = cluster.nodes
      await Promise.all([first.kill(), second.kill()])
      const degraded = (): Promise<number> =>
        readMetric(`http://127.0.0.1:${env.PRODUCERS_PORT}`, 'plumbline_producer_degraded_nodes')
      await until(async () => (await degraded()) > 0, 'the nodes notice that nothing is acknowledged')
      const before = await accepted()
      await until(async () => (await accepted()) > before + 400, 'readings are accepted all the same')
      await Promise.all([first.start(), second.start()])
      await inSync()
      await flows('once all brokers are back')
    },
  )

  it('X-2, DS-1: the audit balances and the order is gapless after all that', { timeout: 300_000 }, async () => {
    expect(
      services.map((service) => service.isRunning()),
      'no process has ended',
    ).toEqual(services.map(() => true))
    expect(await producers.stop(), producers.output()).toBe(0)
    const config = loadConfig(env)
    expect(await untilSettled(config, stack.kafka, SETTLE_MS)).toBe(null)
    const report = await audit(config, stack.kafka)
    expect(report.problems).toEqual([])
    expect(report.gapCount, 'every log is here, so nothing that it numbered may be a gap').toBe(0)
    expect(report.table.store!.rows).toBe(report.table.store!.expected)
    await ordered(stack)
    expect(await orderProblems(stack)).toEqual([])
  })
})

/** Every replica has caught up: from then on any one broker may go. */
const inSync = (): Promise<void> =>
  until(async () => (await leaders()).every(({ isInSync }) => isInSync), 'all replicas are in sync')
