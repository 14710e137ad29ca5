// Child processes that never outlive us. Each runs under supervise.sh, which stops it when our end of a pipe closes,
// however we end. Signals go to the child itself, so it can be killed, frozen and continued by its real process id.
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Readable } from 'node:stream'
import { PlumblineError } from '../../platform/errors.ts'

const SCRIPT = fileURLToPath(new URL('supervise.sh', import.meta.url))
/** Time between SIGTERM and SIGKILL for a child whose starter has died, s. */
const ORPHAN_GRACE_S = 20

export interface SupervisedOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
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
}

/**
 * Starts a command. Its stdout and stderr must be read, or it stalls when the pipes are full.
 * @throws PlumblineError SPAWN_FAILED when it cannot be started
 */
export async function supervise({ command, args, cwd, env }: SupervisedOptions): Promise<Supervised> {
  // Detached: a Ctrl-C at the terminal reaches us alone, and we stop the parts in order.
  const child = spawn('/bin/sh', [SCRIPT, String(ORPHAN_GRACE_S), command, ...args], {
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
  return {
    pid,
    stdout: child.stdout as Readable,
    stderr: child.stderr as Readable,
    exited,
    isRunning: () => state.running,
    signal,
    stop,
  }
}

async function readPid(child: ChildProcess, command: string): Promise<number> {
  // The supervisor going first breaks the pipe; that is seen as its exit, not as a write error.
  child.stdin?.on('error', () => {})
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (cause) =>
      reject(new PlumblineError('SPAWN_FAILED', `${command} cannot be started: ${cause.message}`, { cause })),
    )
  })
  const channel = child.stdio[3] as Readable
  const text = async (): Promise<string> => {
    let said = ''
    for await (const chunk of channel) said += String(chunk)
    return said
  }
  const pid = Number(await Promise.race([text(), failed]))
  if (!Number.isInteger(pid) || pid <= 0) throw new PlumblineError('SPAWN_FAILED', `${command} cannot be started`)
  return pid
}
