// What the programs of docs/clients.md need besides this project: a toolchain, and libraries that it fetches by its own
// default configuration, once, into .plumbline/clients. A toolchain that a machine lacks is named by test/run.ts as not run.
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { withFileLock } from '../../platform/file-lock.ts'
import { retry } from '../../platform/retry.ts'

const run = promisify(execFile)
const CACHE = fileURLToPath(new URL('../../.plumbline/clients', import.meta.url))
const DOC = fileURLToPath(new URL('../../docs/clients.md', import.meta.url))
const FETCH_TIMEOUT_MS = 500_000
const RETRY = { backoff: { baseMs: 2_000, capMs: 10_000 }, triesMax: 3 }

const PYTHON = ['confluent-kafka[avro,schemaregistry]==2.16.1']
const GO = ['github.com/twmb/franz-go@v1.22.3', 'github.com/hamba/avro/v2@v2.31.0']
const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>plumbline</groupId><artifactId>clients</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-clients</artifactId><version>4.1.0</version></dependency>
    <dependency><groupId>org.apache.avro</groupId><artifactId>avro</artifactId><version>1.12.0</version></dependency>
  </dependencies>
</project>`

/** Programs of docs/clients.md, by the language of their code block, and the commands that they need. */
export const CLIENTS = {
  python: ['python3'],
  java: ['java', 'mvn'],
  go: ['go'],
  kcat: ['kcat', 'sh'],
  curl: ['curl', 'sh'],
  shell: ['curl', 'sh'],
} as const
export type Client = keyof typeof CLIENTS

const onPath = (command: string): boolean =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, command)))

/** The first thing that a client lacks here; null when it can be run. */
export function lacks(client: Client): string | null {
  const command = CLIENTS[client].find((name) => !onPath(name))
  if (command !== undefined) return command
  // Debian has it in a package of its own.
  const hasVenv = client !== 'python' || spawnSync('python3', ['-c', 'import ensurepip, venv']).status === 0
  return hasVenv ? null : 'python3-venv'
}

/** A line for each client that cannot be run here. */
export const notRun = (): string[] =>
  (Object.keys(CLIENTS) as Client[]).flatMap((client) => {
    const command = lacks(client)
    return command === null
      ? []
      : [`not run: the ${client} client of docs/clients.md, since ${command} is not installed`]
  })

/** The code block of that language, as the document has it. */
export function programOf(client: Client): string {
  const block = new RegExp(`\`\`\`${client}\n([^]*?)\`\`\``).exec(readFileSync(DOC, 'utf8'))?.[1]
  if (block === undefined) throw new Error(`docs/clients.md has no block of ${client}`)
  return block
}

/** The folder with what a client needs; fetched where it is not there yet. */
export async function libraryOf(client: 'python' | 'java' | 'go'): Promise<string> {
  const wanted = JSON.stringify({ PYTHON, GO, POM })
  const folder = join(CACHE, `${client}-${createHash('sha256').update(wanted).digest('hex').slice(0, 12)}`)
  if (existsSync(join(folder, 'complete'))) return folder
  mkdirSync(CACHE, { recursive: true })
  await withFileLock(join(CACHE, `${client}.lock`), async () => {
    if (existsSync(join(folder, 'complete'))) return
    await retry(async () => {
      rmSync(folder, { recursive: true, force: true })
      mkdirSync(folder)
      await FETCH[client](folder)
    }, RETRY)
    writeFileSync(join(folder, 'complete.tmp'), '')
    renameSync(join(folder, 'complete.tmp'), join(folder, 'complete'))
  })
  return folder
}

const FETCH: Readonly<Record<'python' | 'java' | 'go', (folder: string) => Promise<void>>> = {
  python: async (folder) => {
    await call('python3', ['-m', 'venv', join(folder, 'venv')], folder)
    await call(join(folder, 'venv/bin/pip'), ['install', '-q', '--disable-pip-version-check', ...PYTHON], folder)
  },
  java: async (folder) => {
    writeFileSync(join(folder, 'pom.xml'), POM)
    await call(
      'mvn',
      ['-q', '-B', '-U', 'dependency:copy-dependencies', `-DoutputDirectory=${join(folder, 'libs')}`],
      folder,
    )
  },
  go: async (folder) => {
    await call('go', ['mod', 'init', 'clients'], folder)
    writeFileSync(join(folder, 'main.go'), programOf('go'))
    await call('go', ['get', ...GO], folder)
    await call('go', ['mod', 'tidy'], folder)
    // Compiled once: that takes a minute, and later only the program itself is.
    await call('go', ['build', '-o', '/dev/null', '.'], folder)
  },
}

async function call(command: string, args: readonly string[], cwd: string): Promise<void> {
  await run(command, args, { cwd, timeout: FETCH_TIMEOUT_MS, maxBuffer: 16 * 1_048_576 })
}
