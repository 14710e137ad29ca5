// The programs of the operating system that the local stack needs: checks for them, and installs or names what is
// missing as core/install-plan.ts decides.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import {
  JAVA_MIN,
  type Machine,
  type PackageManager,
  planInstall,
  type ToolName,
  updateCommand,
  whatOf,
} from './core/install-plan.ts'
import type { Progress } from './kafka-jars.ts'
import { DeployError } from '../errors.ts'

export type { ToolName } from './core/install-plan.ts'

const run = promisify(execFile)
const INSTALL_TIMEOUT_MS = 600_000
const PACKAGE_MANAGERS: readonly PackageManager[] = ['apt-get', 'dnf', 'apk']

const IS_PRESENT: Readonly<Record<ToolName, () => Promise<boolean>>> = {
  java: hasJava,
  maven: () => succeeds('mvn', '-version'),
  openssl: () => succeeds('openssl', 'version'),
  redis: () => succeeds('redis-server', '--version'),
}

/**
 * Makes sure that the tools are installed.
 * @throws PlumblineError TOOLS_MISSING with the command that installs them
 */
export async function ensureTools(names: readonly ToolName[], progress: Progress = () => {}): Promise<void> {
  const missing = await absent(names)
  if (missing.length === 0) return
  const machine = await inspect(progress)
  const plan = planInstall(missing, machine)
  if (plan.kind === 'nothing') return
  if (plan.kind === 'tell') throw new DeployError('TOOLS_MISSING', plan.message)
  progress(`installing ${plan.what} by ${machine.packageManager}`)
  for (const command of plan.commands) await asRoot(command)
  if (missing.includes('redis')) await stopRedisService(machine.root === 'sudo')
  const still = await absent(names)
  if (still.length > 0)
    throw new DeployError('TOOLS_MISSING', `installed ${plan.what}, but still missing: ${whatOf(still)}`)
}

async function absent(names: readonly ToolName[]): Promise<ToolName[]> {
  const present = await Promise.all(names.map((name) => IS_PRESENT[name]()))
  return names.filter((_, i) => !present[i])
}

async function inspect(progress: Progress): Promise<Machine> {
  const root = process.getuid?.() === 0 ? 'root' : (await succeeds('sudo', '-n', 'true')) ? 'sudo' : 'none'
  const found = await Promise.all(PACKAGE_MANAGERS.map((name) => succeeds(name, '--version')))
  const packageManager = PACKAGE_MANAGERS.find((_, i) => found[i]) ?? null
  if (packageManager !== 'apt-get') return { packageManager, root, offers: () => false }
  if (root !== 'none') {
    progress('apt-get update')
    await asRoot(updateCommand(root === 'sudo'))
  }
  const { stdout } = await run('apt-cache', ['pkgnames', 'openjdk-']).catch(() => ({ stdout: '' }))
  const known = new Set(stdout.split('\n'))
  return { packageManager, root, offers: (name) => known.has(name) }
}

async function asRoot([command, ...args]: readonly string[]): Promise<void> {
  try {
    await run(command, args, { timeout: INSTALL_TIMEOUT_MS, maxBuffer: 16 * 1_048_576 })
  } catch (error) {
    const said = String((error as { stderr?: string }).stderr ?? error).trim()
    throw new DeployError(
      'TOOLS_MISSING',
      `${args.at(-1)} and what goes with it could not be installed:\n${said.slice(-2_000)}`,
      {
        cause: error,
      },
    )
  }
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
async function stopRedisService(bySudo: boolean): Promise<void> {
  for (const command of [
    ['service', 'redis-server', 'stop'],
    ['update-rc.d', 'redis-server', 'disable'],
  ]) {
    const [program, ...args] = [...(bySudo ? ['sudo', '-n'] : []), ...command]
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
