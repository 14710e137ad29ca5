// Child processes that never outlive us. Each runs under supervise.sh, which stops it when our end of a pipe closes,
// however we end. Signals go to the child itself, so it can be killed, frozen and continued by its real process id.
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { DeployError } from '../errors.ts'

const SCRIPT = fileURLToPath(new URL('supervise.sh', import.meta.url))
/** Time between SIGTERM and SIGKILL for a child whose starter has died, s. */
const ORPHAN_GRACE_S = 20
const POLL_MS = 25

export interface SupervisedOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  /** Our own if not given. */
  readonly env?: NodeJS.ProcessEnv
  /** Variables that it must not get. */
  readonly without?: readonly string[]
}

export interface Supervised {
  /** Of the command itself, not of its supervisor. */
  readonly pid: number
  readonly stdout: Readable
  readonly stderr: Readable
  /** Exit code; 128 + signal number when a signal ended it. */
  readonly exited: Promise<number>
  isRunning(): boolean
  /** Sends a signal if the process still runs. */
  signal(signal: NodeJS.Signals): void
  /** SIGTERM, then SIGKILL after `graceMs`. Resolves with the exit code. */
  stop(graceMs: number): Promise<number>
  /** SIGKILL. Resolves when the process is gone. */
  kill(): Promise<void>
}

/**
 * Starts a command. Its stdout and stderr must be read, or it stalls when the pipes are full.
 * @throws PlumblineError SPAWN_FAILED when it cannot be started
 */
export async function supervise({ command, args, cwd, env, without = [] }: SupervisedOptions): Promise<Supervised> {
  // `env` becomes the command, so that its process id is the command's.
  const cleared = without.length === 0 ? [] : ['env', ...without.flatMap((name) => ['-u', name])]
  // Detached: a Ctrl-C at the terminal reaches us alone, and we stop the parts in order.
  const child = spawn('/bin/sh', [SCRIPT, String(ORPHAN_GRACE_S), ...cleared, command, ...args], {
    cwd,
    env,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  })
  const state = { running: true }
  const exited = new Promise<number>((resolve) => {
    child.once('exit', (code) => {
      state.running = false
      resolve(code ?? 1)
    })
  })
  const pid = await readPid(child, command)
  const signal = (name: NodeJS.Signals): void => {
    if (!state.running) return
    try {
      process.kill(pid, name)
    } catch {
      // It ended a moment ago.
    }
  }
  const stop = async (graceMs: number): Promise<number> => {
    signal('SIGTERM')
    const timer = setTimeout(() => signal('SIGKILL'), graceMs)
    const code = await exited
    clearTimeout(timer)
    return code
  }
  const kill = async (): Promise<void> => {
    signal('SIGKILL')
    await exited
  }
  return {
    pid,
    stdout: child.stdout as Readable,
    stderr: child.stderr as Readable,
    exited,
    isRunning: () => state.running,
    signal,
    stop,
    kill,
  }
}

/** Keeps the end of what a process says, at most `charsMax` characters, so that it never stalls nor fills memory. */
export function tailOf(streams: readonly Readable[], charsMax = 64_000): { text(): string } {
  let said = ''
  for (const stream of streams) {
    stream.setEncoding('utf8')
    stream.on('data', (chunk: string) => {
      said = (said + chunk).slice(-charsMax)
    })
  }
  return { text: () => said }
}

export type Startup = { readonly ready: true } | { readonly ready: false; readonly why: string }

/** Polls `isReady` until it holds, the process ends or the time is up. */
export async function waitUntil(
  child: Supervised,
  isReady: () => boolean | Promise<boolean>,
  timeoutMs: number,
): Promise<Startup> {
  const deadline = performance.now() + timeoutMs
  while (!(await isReady())) {
    if (!child.isRunning()) return { ready: false, why: `ended with exit code ${await child.exited}` }
    if (performance.now() > deadline) return { ready: false, why: `was not ready within ${timeoutMs / 1_000} s` }
    await delay(POLL_MS)
  }
  return { ready: true }
}

async function readPid(child: ChildProcess, command: string): Promise<number> {
  // The supervisor going first breaks the pipe; that is seen as its exit, not as a write error.
  child.stdin?.on('error', () => {})
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (cause) =>
      reject(new DeployError('SPAWN_FAILED', `${command} cannot be started: ${cause.message}`, { cause })),
    )
  })
  const channel = child.stdio[3] as Readable
  const text = async (): Promise<string> => {
    let said = ''
    for await (const chunk of channel) said += String(chunk)
    return said
  }
  const pid = Number(await Promise.race([text(), failed]))
  if (!Number.isInteger(pid) || pid <= 0) throw new DeployError('SPAWN_FAILED', `${command} cannot be started`)
  return pid
}
