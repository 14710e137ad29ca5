// The programs of the operating system that the local stack stands on. What is missing is installed by apt-get where
// that is possible without asking for a password; elsewhere the error names the packages.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { PlumblineError } from '../../platform/errors.ts'
import type { Progress } from './kafka-jars.ts'

const run = promisify(execFile)
/** Kafka 4 does not run on anything older. */
const JAVA_MIN = 17
const INSTALL_TIMEOUT_MS = 600_000
/** Another installation may be under way. */
const DPKG_LOCK = ['-o', 'DPkg::Lock::Timeout=300']

interface Tool {
  readonly what: string
  /** Package of Debian and Ubuntu. */
  readonly package: string
  isPresent(): Promise<boolean>
  /** Undoes what the package does beyond bringing the program. */
  readonly afterInstall?: (root: readonly string[]) => Promise<void>
}

const TOOLS = {
  java: { what: `Java ${JAVA_MIN} or later`, package: 'openjdk-17-jre-headless', isPresent: hasJava },
  maven: { what: 'Maven', package: 'maven', isPresent: () => succeeds('mvn', '-version') },
  openssl: { what: 'openssl', package: 'openssl', isPresent: () => succeeds('openssl', 'version') },
  redis: {
    what: 'redis-server',
    package: 'redis-server',
    isPresent: () => succeeds('redis-server', '--version'),
    afterInstall: stopRedisService,
  },
} satisfies Record<string, Tool>

export type ToolName = keyof typeof TOOLS

/**
 * Makes sure that the tools are there.
 * @throws PlumblineError TOOLS_MISSING naming the packages to install
 */
export async function ensureTools(names: readonly ToolName[], progress: Progress = () => {}): Promise<void> {
  const missing = await absent(names)
  if (missing.length === 0) return
  const what = missing.map((tool) => tool.what).join(', ')
  const packages = missing.map((tool) => tool.package)
  const root = await rootPrefix()
  if (root === null || !(await succeeds('apt-get', '--version'))) {
    throw new PlumblineError(
      'TOOLS_MISSING',
      `missing: ${what}. Install them and try again; on Debian or Ubuntu: sudo apt-get install ${packages.join(' ')}`,
    )
  }
  progress(`installing ${what} (apt-get install ${packages.join(' ')})`)
  await aptGet(root, ['update', '-qq'])
  await aptGet(root, ['install', '-y', '-qq', '--no-install-recommends', ...packages])
  for (const tool of missing) await tool.afterInstall?.(root)
  const still = await absent(names)
  if (still.length > 0)
    throw new PlumblineError(
      'TOOLS_MISSING',
      `installed ${packages.join(' ')}, yet still missing: ${still.map((tool) => tool.what).join(', ')}`,
    )
}

async function absent(names: readonly ToolName[]): Promise<Tool[]> {
  const tools: Tool[] = names.map((name) => TOOLS[name])
  const present = await Promise.all(tools.map((tool) => tool.isPresent()))
  return tools.filter((_, i) => !present[i])
}

async function aptGet(root: readonly string[], args: readonly string[]): Promise<void> {
  const [command, ...rest] = [
    ...root,
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'RUNLEVEL=1',
    'apt-get',
    ...DPKG_LOCK,
    ...args,
  ]
  try {
    await run(command, rest, { timeout: INSTALL_TIMEOUT_MS, maxBuffer: 16 * 1_048_576 })
  } catch (error) {
    const said = String((error as { stderr?: string }).stderr ?? error).trim()
    throw new PlumblineError('TOOLS_MISSING', `apt-get ${args.join(' ')} failed:\n${said.slice(-2_000)}`, {
      cause: error,
    })
  }
}

/** What to put in front of a command to run it as root: nothing, sudo, or null when there is no way. */
async function rootPrefix(): Promise<readonly string[] | null> {
  if (process.getuid?.() === 0) return []
  return (await succeeds('sudo', '-n', 'true')) ? ['sudo', '-n'] : null
}

async function hasJava(): Promise<boolean> {
  try {
    // The version goes to stderr: openjdk version "17.0.15" …
    const { stderr } = await run('java', ['-version'])
    return Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0) >= JAVA_MIN
  } catch {
    return false
  }
}

/** The package starts a server on 6379 and at every boot; ours runs on a port of its own. */
async function stopRedisService(root: readonly string[]): Promise<void> {
  for (const command of [
    ['service', 'redis-server', 'stop'],
    ['update-rc.d', 'redis-server', 'disable'],
  ]) {
    const [program, ...args] = [...root, ...command]
    await succeeds(program, ...args)
  }
}

async function succeeds(program: string, ...args: string[]): Promise<boolean> {
  try {
    await run(program, args)
    return true
  } catch {
    return false
  }
}
