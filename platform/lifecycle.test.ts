import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { aborted, EXIT_CONFIG } from './lifecycle.ts'

/** Runs `runMain` with this body in a process of its own; signals are sent each time that it prints. */
function runs(
  body: string,
  signals: readonly NodeJS.Signals[] = [],
): Promise<{ code: number | null; stderr: string; stdout: string }> {
  const script = `
    const { runMain, aborted } = await import('./platform/lifecycle.ts')
    const { ConfigError, KafkaError } = await import('./platform/errors.ts')
    const print = (text) => new Promise((resolve) => process.stdout.write(text, resolve))
    runMain(async (signal) => { ${body} })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
  })
  let stderr = ''
  let stdout = ''
  const left = [...signals]
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
    const signal = left.shift()
    if (signal !== undefined) child.kill(signal)
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stderr, stdout })))
}

describe('a process', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('MI-8: ends cleanly with 0 on %s', async (signal) => {
    const { code, stdout } = await runs(
      `const stopped = aborted(signal); setInterval(() => {}, 1000); await print('started'); await stopped; await print(' drained')`,
      [signal],
    )
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'started drained' })
  })

  test('ends with the exit code that main has set', async () => {
    expect((await runs('process.exitCode = 1')).code).toBe(1)
  })

  test('ends at once at the second signal', async () => {
    const body = `setInterval(() => {}, 1000); signal.addEventListener('abort', () => void print('hanging')); await print('started'); await new Promise(() => {})`
    expect((await runs(body, ['SIGTERM', 'SIGINT'])).code).toBe(130)
  })

  test('says what is wrong with its configuration, without a stack, and that a restart does not help', async () => {
    const { code, stderr } = await runs(`throw new ConfigError('configuration: FLEET_NODES is "x"')`)
    expect({ code, stderr }).toEqual({ code: EXIT_CONFIG, stderr: 'configuration: FLEET_NODES is "x"\n' })
  })

  test('says stack and cause of any other error and ends with 1', async () => {
    const { code, stderr } = await runs(
      `throw new KafkaError('CLIENT', 'sending failed', { cause: new Error('connection reset') })`,
    )
    expect(code).toBe(1)
    expect(stderr).toContain('KafkaError: sending failed')
    expect(stderr).toContain('    at ')
    expect(stderr).toContain('connection reset')
  })
})

test('aborted resolves when the signal fires, and at once when it has', async () => {
  const controller = new AbortController()
  const waiting = aborted(controller.signal)
  controller.abort()
  await waiting
  await aborted(controller.signal)
})
