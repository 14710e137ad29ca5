// Runs a service's main.ts on this terminal to its end. Ctrl-C reaches it directly, in the same process group; we
// only wait for it.
import { spawn } from 'node:child_process'
import { NODE, ROOT } from '../deploy/paths.ts'

/** @returns its exit code; 128 + signal number when a signal ended it */
export async function runInForeground(
  main: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const child = spawn(NODE, [`${ROOT}${main}`, ...args], { env, stdio: 'inherit' })
  const passOn = (signal: NodeJS.Signals): void => void child.kill(signal)
  const wait = (): void => {}
  process.on('SIGINT', wait)
  process.on('SIGTERM', passOn)
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === 'SIGINT' ? 2 : 15)))
    })
  } finally {
    process.off('SIGINT', wait)
    process.off('SIGTERM', passOn)
  }
}
