// Free ports for parts that are started locally. They are taken from below the ephemeral range: a client that keeps
// reconnecting to a stopped broker would otherwise be given the broker's own port as its source port some day, connect
// to itself and keep the broker from coming back.
import { createServer, type Server } from 'node:net'
import { PortError } from './errors.ts'

/** Linux begins its ephemeral ports at 32768, the IANA range at 49152. */
const FIRST = 15_000
const LAST = 32_000
/** With even nine ports in ten taken, two hundred draws fail once in a billion. */
const DRAWS_MAX = 200

/** Different free ports on loopback. They are free now; anyone who asks should bind soon. */
export async function freePorts(count: number): Promise<number[]> {
  const held: Server[] = []
  const ports: number[] = []
  try {
    for (let draw = 0; ports.length < count; draw += 1) {
      if (draw >= DRAWS_MAX * count)
        throw new PortError('NO_FREE_PORT', `no free port found between ${FIRST} and ${LAST} on 127.0.0.1`)
      const port = FIRST + Math.floor(Math.random() * (LAST - FIRST))
      const server = await tryToHold(port)
      if (server === null) continue
      held.push(server)
      ports.push(port)
    }
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))))
  }
  return ports
}

export async function freePort(): Promise<number> {
  return (await freePorts(1))[0]
}

/** Whether somebody could listen on this port of loopback now. */
export async function isPortFree(port: number): Promise<boolean> {
  const server = await tryToHold(port)
  if (server === null) return false
  await new Promise((resolve) => server.close(resolve))
  return true
}

function tryToHold(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}
