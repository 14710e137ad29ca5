// The WebSocket transport over stand-ins of the package and of the server: the store contract goes through it, and what
// the package leaves open is closed. Neither the package nor a server was there when this was written.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { batch, reading } from '../contract-rows.ts'
import { storeContract } from '../contract.ts'
import { shifted } from './shift.test-support.ts'
import { StandIn } from './stand-in.test-support.ts'
import { loadWebSocketPackage } from './websocket-package.ts'
import { PackageStandIn, WsError } from './websocket.test-support.ts'
import { WebSocketTransport } from './websocket.ts'
import { TdengineStore } from './store.ts'

const AT = { tenant: 't', sensor: 's' }
const PASSWORD = 'hunter%412'
const DEADLINE_MS = 30
const SELECT = 'SELECT ts FROM plumbline.readings'
const never = (): Promise<never> => new Promise(() => {})

let ws: PackageStandIn
let transport: WebSocketTransport
let store: TdengineStore

const transportOver = (load: () => PackageStandIn): WebSocketTransport =>
  new WebSocketTransport({ origin: 'ws://127.0.0.1:6041', username: 'root', password: PASSWORD, load })

// What the package rounds away of a double (README, Limits) nobody can bring back: the contract does without.
storeContract('TDengine (stand-in, by WebSocket)', async () => {
  const over = transportOver(() => new PackageStandIn(new StandIn(), { roundsDoubles: false }))
  const fresh = new TdengineStore({ transport: over, database: 'plumbline', access: 'write', settleMs: 0 })
  await fresh.migrate()
  return shifted(fresh)
})

describe('TDengine by WebSocket', () => {
  beforeEach(async () => {
    ws = new PackageStandIn(new StandIn())
    transport = transportOver(() => ws)
    store = new TdengineStore({ transport, database: 'plumbline', access: 'write', settleMs: 0 })
    await store.migrate()
  })
  afterEach(() => store.close())

  const write = (power: number, version: number): Promise<void> =>
    store.write(batch([{ reading: reading({ ts: 10, power_w: power, site_id: 'NULL' }), version }]))

  it('gives cells as REST has them: times as text, integers as numbers, NULL as null, a text "NULL" as that text', async () => {
    await write(0.1, 1)
    const [row] = await transport.query('SELECT ts,row_version,site_id,power_w,voltage_v FROM plumbline.readings')
    expect(row).toEqual(['1970-01-01T00:00:00.010Z', 1, 'NULL', 0.1, null])
    expect(await transport.query("INSERT INTO plumbline_state.`m_9` USING plumbline_state.migrations TAGS (9) (ts,migration_name) VALUES (0,'x')")).toEqual([[1]]) // prettier-ignore
  })

  it('sends the credentials as they are, waits as long as REST does, has nothing sent twice, and silences the log', async () => {
    expect(ws.configs[0]).toMatchObject({ user: 'root', timeoutMs: 120_000, url: 'ws://127.0.0.1:6041?retries=0' })
    expect(decodeURIComponent(ws.configs[0].password)).toBe(PASSWORD)
    expect(ws.levels).toEqual(['silent'])
  })

  it.each([
    [32, 'out of service', 'STORE_UNAVAILABLE'],
    [9811, 'Value too long for column/tag: site_id', 'STORE_POISON'],
    [534, "syntax error near 'nan' (illegal double data)", 'STORE_POISON'],
    [9826, 'Table does not exist', 'STORE_NOT_READY'],
    [855, 'Authentication failure', 'STORE_CREDENTIALS'],
    [9728, 'syntax error near "x"', 'STORE_FAILED'],
    [105, 'timeout with 120000 milliseconds', 'STORE_UNAVAILABLE'],
    [108, 'invalid websocket connect', 'STORE_UNAVAILABLE'],
  ])('classifies code %d, %s, as %s, with or without the bits of an error', async (code, words, kind) => {
    for (const bits of code > 200 || code < 100 ? [0, 0x80000000] : [0]) {
      ws.beforeExec = () => Promise.reject(new WsError(bits + code, words))
      await expect(transport.query(SELECT)).rejects.toMatchObject({
        code: kind,
        message: expect.stringContaining(words),
      })
    }
  })

  it('EM-5: a failure of the package leaves a write in doubt, one of the server does not', async () => {
    ws.beforeExec = () => Promise.reject(new WsError(105, 'timeout'))
    await expect(transport.query(SELECT)).rejects.toMatchObject({ cause: expect.any(Error) })
    ws.beforeExec = () => Promise.reject(new WsError(32, 'out of service'))
    await expect(transport.query(SELECT)).rejects.not.toHaveProperty('cause')
  })

  it('EM-5: a read that is never answered ends at its deadline, its connection is closed and the next has a new one', async () => {
    ws.beforeExec = never
    const read = transport.query(SELECT, AbortSignal.timeout(DEADLINE_MS))
    await expect(read).rejects.toMatchObject({ code: 'STORE_TIMEOUT', retriable: true })
    ws.beforeExec = () => Promise.resolve()
    expect(await transport.query(SELECT)).toEqual([])
    expect(ws.sockets.map(({ state }) => state)).toEqual([3, 1])
  })

  it('EM-5: a write whose connection breaks is told so, although the package says nothing, and goes in afterwards', async () => {
    ws.beforeExec = (sql, socket) => {
      if (!sql.startsWith('INSERT')) return Promise.resolve()
      socket.state = 3
      return never()
    }
    await expect(write(1, 1)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', cause: expect.any(Error) })
    ws.beforeExec = () => Promise.resolve()
    await write(2, 1)
    expect(await store.read(async (view) => (await view.recent(AT, 1))![0].metrics)).toEqual({ power_w: 2 })
    expect(ws.open()).toBe(1)
  })

  it('reconnects when an idle connection has gone', async () => {
    ws.sockets[0].state = 3
    expect(await transport.query(SELECT)).toEqual([])
    expect(ws.open()).toBe(1)
  })

  it('EM-5: a refused connection is an outage that shows no password, and leaves nothing behind', async () => {
    ws.sockets[0].state = 3
    ws.beforeConnect = (url) => Promise.reject(new WsError(104, `connection creation failed, url: ${url}, code:undefined, msg:x`)) // prettier-ignore
    const error: Error = await transport.query(SELECT).then(
      () => expect.unreachable(),
      (thrown: Error) => thrown,
    )
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', cause: expect.any(Error) })
    expect(`${error.message} ${String(error.cause)}`).not.toContain('hunter')
    ws.beforeConnect = () => Promise.resolve()
    expect(await transport.query(SELECT)).toEqual([])
  })

  it('names a wrong password by the code that the package hides in its message', async () => {
    ws.sockets[0].state = 3
    ws.beforeConnect = (url) => Promise.reject(new WsError(104, `connection creation failed, url: ${url}, code:855, msg:Authentication failure`)) // prettier-ignore
    const refused = transport.query(SELECT)
    await expect(refused).rejects.toMatchObject({ code: 'STORE_CREDENTIALS' })
    await expect(refused).rejects.toThrow(/^TDengine: Authentication failure \(855\): see TDENGINE_USERNAME/)
  })

  it('closes a connection that is established after its statement was given up', async () => {
    ws.sockets[0].state = 3
    const { promise, resolve } = Promise.withResolvers<void>()
    ws.beforeConnect = () => promise
    await expect(transport.query(SELECT, AbortSignal.timeout(DEADLINE_MS))).rejects.toMatchObject({ code: 'STORE_TIMEOUT' }) // prettier-ignore
    resolve()
    ws.beforeConnect = () => Promise.resolve()
    await transport.query(SELECT)
    await expect.poll(() => ws.open()).toBe(1)
  })

  it('has five statements under way at once, lets 251 wait in order of their coming, and refuses more', async () => {
    const order: number[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    ws.beforeExec = () => promise
    const all = Array.from({ length: 256 }, (_, i) => transport.query(SELECT).then(() => order.push(i)))
    await expect(transport.query(SELECT)).rejects.toMatchObject({ code: 'STORE_BUSY' })
    resolve()
    await Promise.all(all)
    expect(order).toEqual([...order].sort((a, b) => a - b))
    expect(ws.mostAtOnce).toBe(5)
    expect(ws.open()).toBe(5)
  })

  it('statements that are given up while they wait leave their turn to the next', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    ws.beforeExec = () => promise
    const busy = Array.from({ length: 5 }, () => transport.query(SELECT))
    const deadline = AbortSignal.timeout(DEADLINE_MS)
    const givenUp = await Promise.allSettled(Array.from({ length: 5 }, () => transport.query(SELECT, deadline)))
    for (const end of givenUp) expect(end).toMatchObject({ reason: { code: 'STORE_TIMEOUT' } })
    const next = transport.query(SELECT)
    resolve()
    await Promise.all([...busy, next])
    expect(ws.open()).toBe(5)
  })

  it('closing leaves no connection, at whatever moment of a statement it comes', async () => {
    for (let ticks = 0; ticks < 40; ticks += 1) {
      const ended = Promise.allSettled([transport.query(SELECT)])
      for (let i = 0; i < ticks; i += 1) await null
      await transport.close()
      await ended
      await expect.poll(() => ws.open()).toBe(0)
      transport = transportOver(() => ws)
      await transport.query(SELECT)
    }
    await transport.close()
  })

  it('closing ends what is under way and every connection', async () => {
    ws.beforeExec = never
    const under = expect(transport.query(SELECT)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await transport.close()
    await under
    await expect.poll(() => ws.open()).toBe(0)
    await expect(transport.query(SELECT)).rejects.toThrow('the store is closed')
  })
})

describe('the package', () => {
  it('says what to do when it is not installed', () => {
    const load = (): unknown => loadWebSocketPackage('@tdengine/nowhere')
    expect(load).toThrow(expect.objectContaining({ code: 'CONFIG' }))
    expect(load).toThrow(/is not installed: `npm install @tdengine\/websocket`, or give the address as http:\/\//)
  })

  it('does not get to end the process, nor to keep a mistake from ending it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'plumbline-ws-'))
    const events = ['SIGINT', 'SIGTERM', 'exit', 'beforeExit', 'uncaughtException']
    const count = (): number[] => events.map((event) => process.listenerCount(event))
    const before = count()
    try {
      const file = join(folder, 'package.cjs')
      writeFileSync(file, `for (const event of ${JSON.stringify(events)}) process.on(event, () => process.exit()); exports.loaded = true`) // prettier-ignore
      expect(loadWebSocketPackage(file)).toMatchObject({ loaded: true })
      expect(count()).toEqual(before)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
