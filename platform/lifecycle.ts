// The frame of every main.ts: one AbortSignal that SIGINT and SIGTERM fire, errors that end the process with a
// message instead of a stack where the operator can do something, and an exit code that tells the supervisor.
import { inspect } from 'node:util'
import { ConfigError } from './errors.ts'
import { operatorMessage } from './operator-error.ts'

/** Exit code of a process that ended because its configuration is wrong: starting it again does not help. */
export const EXIT_CONFIG = 78

/** What a process writes is its user's alone: readings, logs, the store. */
export const PRIVATE_UMASK = 0o077

/**
 * Runs a process to its end.
 * @param main works until the signal fires, then cleans up and returns
 */
export function runMain(main: (signal: AbortSignal) => Promise<void>): void {
  process.umask(PRIVATE_UMASK)
  const controller = new AbortController()
  const stop = (): void => {
    // A second signal means that the operator does not want to wait for the clean stop.
    if (controller.signal.aborted) process.exit(130)
    controller.abort()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  main(controller.signal).then(
    // 0, unless main has set process.exitCode.
    () => process.exit(),
    (error: unknown) => {
      // Beside the line for the operator the log keeps the causes: `inspect` shows them, a stack alone does not.
      const line = operatorMessage(error)
      const text = error instanceof ConfigError ? error.message : `${inspect(error)}${line === null ? '' : `\n${line}`}`
      process.stderr.write(`${text}\n`)
      process.exit(error instanceof ConfigError ? EXIT_CONFIG : 1)
    },
  )
}

/**
 * Runs the parts of a process side by side until the signal fires. When one of them ends or fails before that, the
 * others are ended, too; the first failure is the result.
 */
export async function runTogether(
  signal: AbortSignal,
  parts: readonly ((signal: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const ended = new AbortController()
  const end = AbortSignal.any([signal, ended.signal])
  const failures: unknown[] = []
  const run = async (part: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    await part(end).catch((error: unknown) => failures.push(error))
    ended.abort()
  }
  await Promise.all(parts.map(run))
  if (failures.length > 0) throw failures[0]
}

/** Resolves when the signal fires. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
