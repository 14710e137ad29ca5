// `plumbline up` as a user has it: a process on free ports and a folder of its own.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { freePorts } from '../../platform/free-port.ts'
import { ensureTools } from '../../deploy/local/tools.ts'
import { supervise, type Supervised, tailOf } from '../../deploy/local/supervise.ts'
import { ROOT } from '../../deploy/paths.ts'
import { type Instance, isRunning } from '../../deploy/stack/instance.ts'

const RUN_TIMEOUT_MS = 240_000
const WAIT_TIMEOUT_MS = 120_000
const FLEET = ['--nodes', '2', '--sensors', '10', '--rate', '10']

const dataDir = mkdtempSync(join(tmpdir(), 'plumbline-up-'))
const settings = await settingsOf(dataDir)
const started: Run[] = []

interface Run {
  readonly child: Supervised
  output(): string
}

async function settingsOf(folder: string): Promise<Record<string, string>> {
  const [kafka, ...ports] = await freePorts(6)
  const names = ['REGISTRY_PORT', 'QUERY_API_PORT', 'PRODUCERS_PORT', 'STREAM_JOBS_PORT', 'SINKS_PORT']
  return {
    DATA_DIR: folder,
    KAFKA_BROKERS: `127.0.0.1:${kafka}`,
    TOPIC_PARTITIONS: '2',
    ...Object.fromEntries(names.map((name, i) => [name, String(ports[i])])),
  }
}

/** Only DATA_DIR is given unless `up` itself is run: the other commands must find the ports by themselves. */
async function plumbline(args: readonly string[], env: Record<string, string> = { DATA_DIR: dataDir }): Promise<Run> {
  const child = await supervise({
    command: join(ROOT, 'bin/plumbline'),
    args,
    cwd: tmpdir(),
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
  })
  const tail = tailOf([child.stdout, child.stderr])
  const run = { child, output: tail.text }
  started.push(run)
  return run
}

async function finish(
  args: readonly string[],
  env?: Record<string, string>,
): Promise<{ code: number; output: string }> {
  const { child, output } = await plumbline(args, env)
  return { code: await child.exited, output: output() }
}

async function until<T>(what: string, run: Run, look: () => Promise<T | null>): Promise<T> {
  for (const deadline = performance.now() + WAIT_TIMEOUT_MS; ; await delay(200)) {
    const found = await look().catch(() => null)
    if (found !== null) return found
    if (!run.child.isRunning() || performance.now() > deadline)
      throw new Error(`timed out waiting for ${what}:\n${run.output()}`)
  }
}

const instance = (): Instance => JSON.parse(readFileSync(join(dataDir, 'up.json'), 'utf8')) as Instance

interface Sensors {
  readonly sensors: readonly { readonly count: number }[]
}

/** Readings in the store by REST; null while there is no answer or none of them. */
async function stored(more: number): Promise<number | null> {
  const response = await fetch(`http://127.0.0.1:${settings.QUERY_API_PORT}/sensors?max_staleness=1h`)
  const { sensors } = (await response.json()) as Sensors
  const count = sensors.reduce((sum, sensor) => sum + sensor.count, 0)
  return count > more ? count : null
}

/** What the last run left on its way is stored before the producers are there again; a fault must meet all parts. */
async function flowing(up: Run, more: number): Promise<number> {
  await until('the producers', up, async () => (up.output().includes('✓ producers on') ? true : null))
  return until('more readings than before', up, () => stored(more))
}

const partsOf = ({ services }: Instance): number[] => [
  ...services.map(({ pid }) => pid),
  Number(readFileSync(join(dataDir, 'kafka-data/broker.pid'), 'utf8')),
]

const alive = (pids: readonly number[]): number[] => pids.filter((pid) => isRunning(pid, ''))

afterEach(async () => {
  for (const { child } of started.splice(0)) await child.kill()
})
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

describe('plumbline up', { timeout: RUN_TIMEOUT_MS }, () => {
  let before = 0
  let killed: number[] = []

  it('brings readings from the fleet to the REST answer, is seen by the other commands, and stops by itself (--for)', async () => {
    await ensureTools(['java', 'maven', 'redis'])
    const up = await plumbline(['up', ...FLEET, '--stream-jobs', '2', '--for', '45s'], settings)
    before = await until('readings in the store', up, () => stored(100))
    const pids = partsOf(instance())
    expect(alive(pids)).toHaveLength(7)

    const again = await finish(['up'])
    expect(again).toMatchObject({ code: 1 })
    expect(again.output).toMatch(/already runs on .* \(process \d+\)/)

    const produced = await finish(['produce', '--sensor', 'by-hand', '--metric', 'power_w=12.5'])
    expect(produced).toEqual({ code: 0, output: '1 accepted, 0 rejected\n' })
    const refused = await finish(['produce', '--sensor', 'by-hand', '--metric', 'power_w=1e99'])
    expect(refused.code).toBe(1)
    expect(refused.output).toContain('power_w')

    const status = await finish(['status', '--json'])
    expect(JSON.parse(status.output)).toMatchObject({ restarts: 0, counts: { deadLetters: 0 }, nodes: { count: 2 } })
    const topics = await finish(['topics', 'list'])
    expect(topics.output).toMatch(/telemetry\.clean +2 +\d/)
    const tail = await finish(['topics', 'tail', 'telemetry.raw', '-n', '3', '--json'])
    const records = tail.output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { value: Record<string, unknown> })
    expect(records).toHaveLength(3)
    for (const { value } of records) expect(value.epoch).toBeGreaterThan(0)

    expect(await up.child.exited, up.output()).toBe(0)
    expect(alive(pids)).toEqual([])
  })

  it('continues with the kept data, and restarts a service that was killed', async () => {
    const up = await plumbline(['up', ...FLEET], settings)
    before = await flowing(up, before)
    const doctor = await finish(['doctor'])
    expect(doctor.output, up.output()).toContain('no problem found')
    expect(doctor.code).toBe(0)
    const sinks = instance().services.find(({ name }) => name === 'sinks')!
    process.kill(sinks.pid, 'SIGKILL')
    await until('another sink', up, async () => {
      const now = instance().services.find(({ name }) => name === 'sinks')!
      return now.restarts === 1 && now.pid !== 0 && now.pid !== sinks.pid ? now : null
    })
    before = await until('readings of the new sink', up, () => stored(before))
    killed = partsOf(instance())
    await up.child.kill()
  })

  it('killed by SIGKILL leaves nothing that keeps the next one from starting, whose parts SIGINT stops in order', async () => {
    const up = await plumbline(['up', ...FLEET], settings)
    await flowing(up, before)
    expect(alive(killed)).toEqual([])
    const pids = partsOf(instance())
    up.child.signal('SIGINT')
    expect(await up.child.exited, up.output()).toBe(0)
    const order = ['producers', 'stream-jobs', 'sinks', 'query-api', 'registry', 'Redis and Kafka'].map((name) =>
      up.output().indexOf(`✓ ${name} stopped`),
    )
    expect(order).not.toContain(-1)
    expect(order).toEqual([...order].sort((a, b) => a - b))
    expect(alive(pids)).toEqual([])
    const status = await finish(['status'])
    expect(status.output).toContain('nothing runs')
  })

  it('names the variable when a port is taken', async () => {
    const holder = createServer().listen(Number(settings.QUERY_API_PORT), '127.0.0.1')
    try {
      const { code, output } = await finish(['up'], settings)
      expect(code).toBe(1)
      expect(output).toMatch(/port \d+ is in use: .*QUERY_API_PORT=/)
    } finally {
      holder.close()
    }
  })
})
