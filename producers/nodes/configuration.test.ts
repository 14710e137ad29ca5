// What a process of nodes keeps of the runtime configuration on its disk, for a start without the broker.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, expect, test } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import type { Acknowledger } from '../../platform/runtime-config/acknowledger.ts'
import { NOTHING_SET, type RuntimeConfig } from '../../platform/runtime-config/document.ts'
import type { ConfigFollower, ConfigState } from '../../platform/runtime-config/follower.ts'
import { NodeConfiguration } from './configuration.ts'
import type { Fleet } from './fleet.ts'

const folder = mkdtempSync(join(tmpdir(), 'plumbline-kept-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A process that begins; `topic` is what it reads there, null while the broker is away. */
async function begin(topic: RuntimeConfig | null): Promise<{ versions: number[]; warnings: string[] }> {
  const state: ConfigState = { config: topic ?? NOTHING_SET, refused: null }
  const caughtUp = topic === null ? new Promise<void>(() => {}) : Promise.resolve()
  const follower = { caughtUp, isCaughtUp: topic !== null, current: state.config, state, subscribe: () => {} }
  const versions: number[] = []
  const fleet = {
    nodes: [],
    configVersion: 0,
    configure({ version }: RuntimeConfig) {
      this.configVersion = version
      versions.push(version)
    },
  }
  const warnings: string[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => void warnings.push((JSON.parse(line) as { msg: string }).msg) }) // prettier-ignore
  await new NodeConfiguration({
    follower: follower as unknown as ConfigFollower,
    acks: { say: () => {} } as unknown as Acknowledger,
    fleet: fleet as unknown as Fleet,
    clock: { ...systemClock, sleep: () => Promise.resolve() },
    log,
    dataDir: folder,
  }).begin()
  return { versions, warnings }
}

const AWAY = 'sampling begins with the last known configuration: Kafka is away'

test('MI-5: what was applied last holds without the broker; a topic that was recreated ends it, and leaves nothing behind', async () => {
  expect(await begin(null)).toEqual({ versions: [0], warnings: [AWAY] })
  const five: RuntimeConfig = { version: 5, at: 1, scopes: { fleet: { 'producer.rate_hz': 2 } } }
  expect(await begin(five)).toEqual({ versions: [0, 5], warnings: [] })
  expect(await begin(null)).toEqual({ versions: [5], warnings: [AWAY] })
  expect(await begin(NOTHING_SET)).toEqual({ versions: [5, 0], warnings: [] })
  expect(readdirSync(folder)).toEqual([])
  expect(await begin(null)).toEqual({ versions: [0], warnings: [AWAY] })
})

test('MI-5: a torn or foreign file is named and changes nothing', async () => {
  for (const text of [
    '',
    '{"version":5,"at":1,"sco',
    '{"version":5,"at":1,"scopes":{"fleet":{"detector.z":0}}}',
    'null',
  ]) {
    writeFileSync(join(folder, 'runtime-config.json'), text)
    const { versions, warnings } = await begin(null)
    expect([versions, warnings[0]]).toEqual([[0], expect.stringContaining('runtime-config.json cannot be used')])
  }
})
