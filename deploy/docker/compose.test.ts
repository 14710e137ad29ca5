// What can be said of the compose file by reading it: images and their versions, what is published, which settings
// reach the containers. The file is started for real in compose.docker.test.ts.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { SETTINGS } from '../../platform/config.ts'

const ROOT = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(fileURLToPath(new URL(path, ROOT)), 'utf8')
const compose = read('docker-compose.yml')
const dockerfile = read('deploy/docker/Dockerfile')

/**
 * The broker of the compose file speaks plaintext inside its network; and inside, processes listen on their usual ports:
 * under the names of the ports one chooses where they are published. A member's name is its own: containers of one
 * service would share it.
 */
const NOT_HANDED_ON = /^KAFKA_(TLS|SASL)_|_PORT$|^MEMBER_ID$/

test('every setting of Plumbline is set by the compose file or handed on by it, under its own name (EM-9)', () => {
  const named = new Set([...compose.matchAll(/^ +([A-Z][A-Z0-9_]+):/gm)].map(([, name]) => name))
  const missing = Object.entries(SETTINGS)
    .filter(([name]) => !NOT_HANDED_ON.test(name) && !named.has(name))
    .filter(([name, setting]) => !('secret' in setting && named.has(`${name}_FILE`)))
  expect(missing.map(([name]) => name)).toEqual([])
})

test('every image has a version', () => {
  const images = [...compose.matchAll(/image: (\S+)/g), ...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, name]) => name)
  expect(images.length).toBeGreaterThan(8)
  for (const image of images) expect(image).toMatch(/^[\w./-]+:v?\d[\w.-]*$/)
})

test('our image runs the Node that the tests run on', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
  const versions = [...dockerfile.matchAll(/^FROM node:([\d.]+)-/gm)].map(([, version]) => version)
  expect(new Set(versions)).toEqual(new Set([dependencies.node]))
})

test('our image runs as a user, not as root', () => {
  const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM'))
  expect(last).toMatch(/^USER node$/m)
})

test('ports are published on loopback only', () => {
  const ports = [...compose.matchAll(/^ +ports: \[(.*)\]$/gm)].map(([, list]) => list)
  expect(ports.length).toBeGreaterThan(5)
  for (const list of ports) expect(list).toMatch(/^'127\.0\.0\.1:[^,]+'$/)
})

test('every panel of the dashboard names its unit, its data source and a query of metrics that the code has', () => {
  const { panels } = JSON.parse(read('deploy/grafana/dashboards/plumbline.json')) as { panels: Panel[] }
  const declared = sources().flatMap((text) => [...text.matchAll(/name: [`'](plumbline_[a-z_]+)(?:\$\{name\})?[`']/g)])
  const prefixes = declared.map(([, name]) => name)
  const shown = panels.filter(({ type }) => type !== 'row')
  expect(shown.length).toBeGreaterThan(15)
  for (const { title, targets, fieldConfig } of shown) {
    expect([title, fieldConfig?.defaults.unit]).toEqual([title, expect.any(String)])
    for (const { expr, datasource } of targets!) {
      expect(datasource.uid).toBe('prometheus')
      for (const [metric] of expr.matchAll(/plumbline_[a-z_]+/g))
        expect([metric, prefixes.some((name) => metric.startsWith(name))]).toEqual([metric, true])
    }
  }
})

interface Panel {
  readonly type: string
  readonly title: string
  readonly fieldConfig?: { defaults: { unit?: string } }
  readonly targets?: { expr: string; datasource: { uid: string } }[]
}

/** Texts of the files in which rooms declare their metrics. */
function sources(): string[] {
  return [
    'producers',
    'stream-jobs/refine/runtime',
    'stream-jobs/sequencer/runtime',
    'sinks',
    'query-api',
    'platform/runtime-config',
  ].flatMap((folder) =>
    readdirSync(new URL(folder, ROOT))
      .filter((name) => /(metrics|observe)\.ts$/.test(name))
      .map((name) => read(`${folder}/${name}`)),
  )
}
