import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from './free-port.ts'
import { ownerText, portOwner } from './port-owner.ts'

test('K12: a port that is in use is named with the process that has it', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  expect(portOwner(port)?.pid).toBe(process.pid)

  const code = `require('node:net').createServer().listen(0, '::', function () { console.log(this.address().port) })`
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  const found = portOwner(Number(String(said)))
  expect(found?.pid).toBe(child.pid)
  expect(ownerText(found)).toMatch(new RegExp(`^process ${child.pid} \\(node -e require.*…?\\)$`))
})

test('K12: nobody is named where nobody listens', async () => {
  expect(portOwner(await freePort())).toBeNull()
  expect(ownerText(null)).toBe('what listens there')
})
