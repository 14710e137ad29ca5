// A service whose port somebody else has taken, after it had been found free.
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Service } from './service.ts'

/** Listens and answers whatever is asked with this status. */
async function stranger(status: number): Promise<number> {
  const server = createServer((_request, response) => response.writeHead(status).end('{"ready":true}'))
  server.listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

test.each([200, 404, 503])(
  'K12: a port taken between check and bind is named with who has it, also when that answers %d',
  { timeout: 60_000 },
  async (status) => {
    const port = await stranger(status)
    const service = new Service(
      {
        name: 'query-api',
        service: 'query-api',
        // Ends at once, as a process does that cannot listen.
        main: 'test/fixtures/ends-at-once.ts',
        args: [],
        env: process.env as Record<string, string>,
        url: `http://127.0.0.1:${port}`,
        token: undefined,
        logFile: join(mkdtempSync(join(tmpdir(), 'plumbline-service-')), 'query-api.log'),
      },
      () => undefined,
    )
    onTestFinished(() => service.stop())
    const said: string[] = []
    await expect(service.start((why) => said.push(why))).rejects.toMatchObject({
      code: 'SERVICE_FAILED',
      message: expect.stringMatching(
        new RegExp(`cannot have its port ${port}: process ${process.pid} .* listens there[^]*said at its end`),
      ),
    })
    expect(said.at(-1)).toContain(`port ${port}`)
  },
)
