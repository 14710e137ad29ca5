import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const CHILD = fileURLToPath(new URL('watchdog.test-child.ts', import.meta.url))
const run = (...args: string[]) => spawnSync(process.execPath, [CHILD, ...args], { encoding: 'utf8', timeout: 15_000 })

describe('EM-5: watchdog', () => {
  it('kills a process whose work holds the thread and never returns, and says which work', () => {
    const { signal, stdout, stderr } = run('hang')
    expect(stdout).toBe('in time\n')
    expect(stderr).toContain('the work has not returned within 1 s: the process ends')
    expect(signal).toBe('SIGKILL')
  })

  it('leaves a process alone whose work returns in time, and does not keep it from ending', () => {
    expect(run()).toMatchObject({ signal: null, status: 0, stdout: 'in time\n' })
  })
})
