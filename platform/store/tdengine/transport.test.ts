// The REST transport and the store over it, on a real socket to a server that answers as TDengine does (the stand-in),
// through a network that fails: what is slow is waited for, what is not answered in time or cut off is an outage, and a
// write in doubt is never overtaken.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { NetworkFault } from '../../../test/fixtures/fault-script.ts'
import { TcpProxy } from '../../../test/fixtures/tcp-proxy.ts'
import { batch, reading } from '../contract-rows.ts'
import type { WriteBatch } from '../port.ts'
import { TdengineError } from './errors.ts'
import { StandIn } from './stand-in.test-support.ts'
import { RestTransport } from './transport.ts'
import { TdengineStore } from './store.ts'

const AT = { tenant: 't', sensor: 's' }
const LANE = { topic: 'telemetry.late', partition: 0, throughMs: null, eventMs: null }
/** Longer than any deadline here. */
const LONG_MS = 1_500
const DEADLINE_MS = 300
/** Of a correction's requests: where the store is, what the row meets, the row, where the store is now. */
const ROWS = 3
const PROGRESS = 4

let standIn: StandIn
let server: Server
let proxy: TcpProxy
let transport: RestTransport
let store: TdengineStore

/** Answers a statement as taosAdapter does: HTTP 200, and the code says what it is. */
async function answer(sql: string): Promise<object> {
  try {
    return { code: 0, data: await standIn.query(sql) }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const code = error instanceof TdengineError ? error.serverCode : 65_535
    return { code, desc: error.message }
  }
}

beforeEach(async () => {
  standIn = new StandIn()
  server = createServer((request, response) => {
    void text(request)
      .then(answer)
      .then((body) => response.end(JSON.stringify(body)))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  proxy = await TcpProxy.start({ target: () => port, random: () => 0 })
  transport = new RestTransport({ origin: `http://127.0.0.1:${proxy.port}`, username: 'root', password: 'x' })
  store = new TdengineStore({ transport, database: 'plumbline', access: 'write', settleMs: 30 })
  await store.migrate()
  await store.write(step(1, null, 1))
  // As after an assignment: the next write does not trust what it knows.
  await store.read((view) => view.progress())
  standIn.statements.length = 0
})
afterEach(async () => {
  await store.close()
  await proxy.stop()
  server.closeAllConnections()
  server.close()
})

/** One reading, whose power is the version; the same event time each time. */
const step = (version: number, after: number | null, offset: number): WriteBatch =>
  batch([{ reading: reading({ ts: 10, epoch: 1, seq: 10, power_w: version }), version }], [{ ...LANE, after, offset }])

const stored = async (): Promise<unknown> =>
  store.read(async (view) => {
    const [{ version, metrics }] = (await view.recent(AT, 5))!
    return {
      offset: (await view.progress())[0].offset,
      version,
      power: metrics.power_w,
      rows: (await view.totals()).readings,
    }
  })

const inserts = (): number => standIn.statements.filter((sql) => sql.startsWith('INSERT')).length

describe('TDengine over a network that fails', () => {
  it('EM-5: latency and a narrow network cost time and nothing else', async () => {
    const faults: NetworkFault[] = [
      { kind: 'latency', atRequests: 1, ms: 40, jitterMs: 10, forMs: 150 },
      { kind: 'bandwidth', atRequests: 1, bytesPerS: 20_000, forMs: 150 },
    ]
    proxy.script(faults)
    let offset = 1
    for (const deadline = performance.now() + LONG_MS; performance.now() < deadline; offset += 1)
      await store.write(step(offset + 1, offset, offset + 1))
    proxy.expectFired()
    expect(await stored()).toEqual({ offset, version: offset, power: offset, rows: 1 })
  })

  it('EM-5: a stall ends a write at its deadline as an outage, a read likewise, and what was in doubt goes first', async () => {
    proxy.script([{ kind: 'stall', atRequests: ROWS, forMs: LONG_MS }])
    const stalled = store.write(step(2, 1, 2), AbortSignal.timeout(DEADLINE_MS))
    await expect(stalled).rejects.toMatchObject({ code: 'STORE_TIMEOUT', retriable: true })
    proxy.expectFired()
    await expect(transport.query('SELECT ts FROM plumbline.readings', AbortSignal.timeout(DEADLINE_MS))).rejects.toMatchObject({ code: 'STORE_TIMEOUT' }) // prettier-ignore
    await expect(store.write(step(3, 1, 3), AbortSignal.timeout(DEADLINE_MS))).rejects.toMatchObject({
      code: 'STORE_TIMEOUT',
      message: expect.stringContaining('an earlier write has still not been answered'),
    })
    expect(inserts()).toBe(0)
    // Rows of the stalled write arrive now; its progress was never sent.
    await store.write(step(3, 1, 3))
    expect(await stored()).toEqual({ offset: 3, version: 3, power: 3, rows: 1 })
  })

  it('EM-5: a reset under a write is an outage with its cause, and the same batch goes in afterwards', async () => {
    for (let atRequests = 1; atRequests <= PROGRESS; atRequests += 1) {
      proxy.script([{ kind: 'reset', atRequests, forMs: 0 }])
      const write = step(atRequests + 1, atRequests, atRequests + 1)
      await expect(store.write(write)).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
        retriable: true,
        cause: expect.any(Error),
      })
      proxy.expectFired()
      await store.write(write)
      expect(await stored()).toEqual({
        offset: atRequests + 1,
        version: atRequests + 1,
        power: atRequests + 1,
        rows: 1,
      })
    }
  })

  it('a script that did not strike is told', async () => {
    proxy.script([{ kind: 'stall', atBytes: 1_000_000_000, forMs: 1 }])
    await store.write(step(2, 1, 2))
    expect(() => proxy.expectFired()).toThrow('scripted faults did not strike: [{"kind":"stall"')
  })
})
