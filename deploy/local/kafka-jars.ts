// The jars of Apache Kafka, fetched by Maven as pom.xml names them. They land in a folder named after the pom's
// content, complete or not at all, so that several processes may ask at once and a broken download leaves no trace.
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { withFileLock } from '../../platform/file-lock.ts'
import { retry } from '../../platform/retry.ts'
import { DeployError } from '../errors.ts'

const run = promisify(execFile)
const POM = fileURLToPath(new URL('pom.xml', import.meta.url))
const DEFAULT_CACHE = fileURLToPath(new URL('../../.plumbline/kafka', import.meta.url))
const ATTEMPTS = 4
/** Repositories that refuse for a moment usually serve again within seconds. */
const RETRY = { baseMs: 4_000, capMs: 30_000 }
/** About 60 MB are fetched when Maven's own cache is empty. */
const DOWNLOAD_TIMEOUT_MS = 600_000

export type Progress = (line: string) => void

/**
 * The folder that holds Kafka's jars; fetches them if need be. Needs `mvn` on the path.
 * @throws PlumblineError KAFKA_DOWNLOAD with Maven's own last words
 */
export async function ensureKafkaJars(progress: Progress = () => {}, cacheDir = DEFAULT_CACHE): Promise<string> {
  const hash = createHash('sha256').update(readFileSync(POM)).digest('hex').slice(0, 12)
  const libs = join(cacheDir, `libs-${hash}`)
  if (existsSync(libs)) return libs
  await withFileLock(join(cacheDir, 'download.lock'), async () => {
    if (existsSync(libs)) return
    progress('fetching Apache Kafka by Maven (about 60 MB, once)')
    const partial = mkdtempSync(join(cacheDir, 'partial-'))
    try {
      await download(partial, progress)
      renameSync(partial, libs)
    } finally {
      rmSync(partial, { recursive: true, force: true })
    }
  })
  return libs
}

async function download(folder: string, progress: Progress): Promise<void> {
  await retry(() => runMaven(folder), {
    backoff: RETRY,
    triesMax: ATTEMPTS,
    onFailure: (_, attempt) => progress(`fetching failed, attempt ${attempt + 2} of ${ATTEMPTS} follows`),
  })
}

async function runMaven(folder: string): Promise<void> {
  try {
    // -U: a failure that Maven remembers must not outlive the retry.
    await run('mvn', ['-q', '-B', '-U', '-f', POM, 'dependency:copy-dependencies', `-DoutputDirectory=${folder}`], {
      timeout: DOWNLOAD_TIMEOUT_MS,
      maxBuffer: 16 * 1_048_576,
    })
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    const said = `${stdout}${stderr}`.trim().split('\n').slice(-8).join('\n') || String(error)
    throw new DeployError('KAFKA_DOWNLOAD', `Maven could not fetch Kafka's jars:\n${said}`, {
      cause: error,
      retriable: (error as NodeJS.ErrnoException).code !== 'ENOENT',
    })
  }
}
