// A real process that writes to a log is killed, again and again, at whatever it is doing.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { readWalSummary } from './reader.ts'
import { openWal, tempDir } from './wal.test-support.ts'

const NODE = fileURLToPath(new URL('../../node_modules/node/bin/node', import.meta.url))
const WRITER = fileURLToPath(new URL('./writer.test-support.ts', import.meta.url))

/** What the writer had confirmed when it was killed. */
async function writeAndKill(dir: string, afterMs: number): Promise<{ accepted: number; acknowledged: number }> {
  const child = spawn(NODE, [WRITER, dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (part: Buffer) => {
    if (text === '') setTimeout(() => child.kill('SIGKILL'), afterMs)
    text = (text + part.toString()).slice(-200)
  })
  await once(child, 'close')
  const [accepted, acknowledged] = (text.split('\n').at(-2) as string).split(' ').map(Number)
  return { accepted, acknowledged }
}

test('W2: kill -9 of a process that appends loses nothing that was accepted, and the next one goes on without a gap (MI-2)', async () => {
  const dir = tempDir()
  let former = 0
  for (let round = 0; round < 8; round += 1) {
    const { accepted, acknowledged } = await writeAndKill(dir, 30 + round * 17)
    expect(accepted).toBeGreaterThan(former)
    const summary = readWalSummary(dir)
    expect(summary?.appendedIndex).toBeGreaterThanOrEqual(accepted)
    expect(summary?.acknowledgedIndex).toBeGreaterThanOrEqual(acknowledged)
    const numbered = [...(summary?.accepted.values() ?? [])].reduce((sum, lastSeq) => sum + lastSeq + 1, 0)
    expect(numbered).toBe(summary?.appendedIndex)
    former = accepted
  }
  const wal = openWal(dir)
  let read = wal.acknowledged
  const cursor = wal.cursorAt(wal.acknowledged)
  for (let chunk = wal.read(cursor); chunk !== null; chunk = wal.read(cursor)) read = chunk.firstIndex + chunk.count
  expect(read).toBe(wal.appended)
  await wal.close()
})
