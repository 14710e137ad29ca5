// What `make` says on a machine on which Plumbline cannot be installed: one line with what to do, from a copy of the
// Makefile whose PATH has nothing but a few programs and, where the case has one, a pretended node and npm.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FILES = ['Makefile', 'package.json', 'package-lock.json', '.npmrc']
const PROGRAMS = ['make', 'sh', 'ls', 'touch', 'mkdir', 'chmod']
/** Its version; and whether it is at least 20, as the Makefile asks by `node -e`. */
const nodeOf = (version: string): string =>
  `case "$1" in --version) echo v${version} ;; *) test ${version.split('.')[0]} -ge 20 ;; esac`
/** Installs the project's own Node. */
const NPM = `mkdir -p node_modules/node/bin; printf '#!/bin/sh\\necho v26\\n' > node_modules/node/bin/node; chmod +x node_modules/node/bin/node`

const folders: string[] = []
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })))

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'plumbline-make-'))
  folders.push(folder)
  return folder
}

interface Machine {
  /** Contents of the programs `node` and `npm`. */
  readonly node?: string
  readonly npm?: string
  /** Files of the system, such as its C library. */
  readonly libraries?: readonly string[]
}

function setup({ node, npm, libraries = [] }: Machine): { status: number | null; said: string; checkout: string } {
  const checkout = newFolder()
  const bin = newFolder()
  const system = newFolder()
  for (const file of FILES) copyFileSync(join(ROOT, file), join(checkout, file))
  for (const program of PROGRAMS) {
    const path = ['/bin', '/usr/bin'].map((folder) => join(folder, program)).find(existsSync)
    symlinkSync(path!, join(bin, program))
  }
  for (const [name, script] of Object.entries({ node, npm })) {
    if (script === undefined) continue
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  for (const library of libraries) {
    mkdirSync(join(system, library, '..'), { recursive: true })
    writeFileSync(join(system, library), '')
  }
  const { status, stderr } = spawnSync('make', ['-s', 'setup', `SYSTEM=${system}`], {
    cwd: checkout,
    env: { PATH: bin },
    encoding: 'utf8',
  })
  // make's own line says which rule failed.
  const said = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('make'))
  expect(said.length, stderr).toBeLessThanOrEqual(1)
  return { status, said: said.join('\n'), checkout }
}

test('without node it says which one is needed and where to get it', () => {
  expect(setup({})).toMatchObject({
    status: 2,
    said: expect.stringMatching(/not installed: Node 20 or later .*nodejs\.org/),
  })
})

test('with node but without npm, too', () => {
  expect(setup({ node: nodeOf('24.1.0') }).said).toMatch(/node and npm are not installed/)
})

test('Debian 12’s own Node 18 is named as too old', () => {
  const { status, said } = setup({ node: nodeOf('18.20.4'), npm: NPM })
  expect({ status, said }).toMatchObject({
    status: 2,
    said: expect.stringMatching(/v18\.20\.4 is too old.*Node 20 or later/),
  })
})

test('Alpine’s musl is named, with an image that has glibc', () => {
  const { status, said } = setup({ node: nodeOf('24.1.0'), npm: NPM, libraries: ['lib/ld-musl-x86_64.so.1'] })
  expect({ status, said }).toMatchObject({
    status: 2,
    said: expect.stringMatching(/musl .*Alpine.*node:24-bookworm-slim/),
  })
})

test.each([
  ['Debian and Fedora', ['lib64/ld-linux-x86-64.so.2']],
  ['ARM', ['lib/ld-linux-aarch64.so.1']],
  ['glibc with musl beside it', ['lib/ld-musl-x86_64.so.1', 'lib64/ld-linux-x86-64.so.2']],
])('%s: it installs', (_, libraries) => {
  const { status, said, checkout } = setup({ node: nodeOf('20.0.0'), npm: NPM, libraries })
  expect({ status, said }).toEqual({ status: 0, said: '' })
  expect(existsSync(join(checkout, 'node_modules/node/bin/node'))).toBe(true)
})

test('an npm that runs no install scripts is told what to allow', () => {
  const { status, said } = setup({
    node: nodeOf('24.1.0'),
    npm: 'mkdir -p node_modules/node',
    libraries: ['lib64/ld-linux-x86-64.so.2'],
  })
  expect({ status, said }).toMatchObject({ status: 2, said: expect.stringContaining('allow its install script') })
})
