import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { supervise, tailOf, waitUntil } from './supervise.ts'

/** Alive and not a zombie. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 600 && !holds(); i += 1) await delay(50)
  expect(holds()).toBe(true)
}

describe('a supervised process', () => {
  it('is stopped when its starter is killed by SIGKILL', async () => {
    const starter = spawn(process.execPath, ['test/fixtures/orphan.ts'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(starter.stdout, 'data')) as [Buffer]
    const pid = Number(line.toString())
    expect(isAlive(pid)).toBe(true)
    starter.kill('SIGKILL')
    await until(() => !isAlive(pid))
  })

  it('is stopped even if it ignores SIGTERM', async () => {
    const child = await supervise({
      command: '/bin/sh',
      args: ['-c', 'trap "" TERM; echo deaf; while :; do sleep 1; done'],
    })
    const said = tailOf([child.stdout])
    expect(await waitUntil(child, () => said.text().includes('deaf'), 10_000)).toEqual({ ready: true })
    expect(await child.stop(200)).toBe(137)
    expect(isAlive(child.pid)).toBe(false)
  })

  it('reports its own exit code, and that it ended before it was ready', async () => {
    const child = await supervise({ command: '/bin/sh', args: ['-c', 'exit 7'] })
    expect(await waitUntil(child, () => false, 10_000)).toEqual({ ready: false, why: 'ended with exit code 7' })
    expect(await child.exited).toBe(7)
  })

  it('says when a command does not exist', async () => {
    const child = await supervise({ command: 'no-such-command-of-ours', args: [] })
    const said = tailOf([child.stderr])
    expect(await child.exited).toBe(127)
    expect(said.text()).toMatch(/not found/)
  })

  it('keeps only the end of what it says', async () => {
    const child = await supervise({ command: '/bin/sh', args: ['-c', 'yes 0123456789 | head -c 1000000; echo end'] })
    const said = tailOf([child.stdout], 1_000)
    await child.exited
    await until(() => said.text().endsWith('end\n'))
    expect(said.text()).toHaveLength(1_000)
  })
})
