import { request as plainRequest } from 'node:http'
import { connect } from 'node:net'
import express, { type Express } from 'express'
import { afterEach, describe, expect, test } from 'vitest'
import { InputError } from './errors.ts'
import { Health } from './health.ts'
import { createApp, listen } from './http.ts'
import { createLog } from './log.ts'
import { createMetrics } from './metrics.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

const log = createLog('test', 'silent')

async function serve(
  options: { token?: string; health?: Health; routes?: (app: Express) => void } = {},
): Promise<{ url: string; port: number }> {
  const app = createApp({
    health: options.health ?? new Health(),
    metrics: createMetrics('test'),
    log,
    token: options.token,
  })
  options.routes?.(app)
  const { port, close } = await listen(app, '127.0.0.1', 0, log)
  closers.push(close)
  return { url: `http://127.0.0.1:${port}`, port }
}

/** Status, type and body of an answer that must be a problem. */
async function problem(response: Response): Promise<Record<string, unknown>> {
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  const body = (await response.json()) as Record<string, unknown>
  expect(body).toMatchObject({ type: 'about:blank', status: response.status })
  return body
}

describe('every process', () => {
  test('EM-6 MI-13: answers /healthz, /readyz and /metrics', async () => {
    const health = new Health()
    let ready = true
    health.add('progress', () => ({ ready, detail: 'raw/0 does not move' }))
    const { url } = await serve({ health })
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ live: true })
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    ready = false
    const unready = await fetch(`${url}/readyz`)
    expect(unready.status).toBe(503)
    expect(await unready.json()).toMatchObject({ checks: { progress: { detail: 'raw/0 does not move' } } })
    const metrics = await fetch(`${url}/metrics`)
    expect(metrics.headers.get('content-type')).toContain('text/plain')
    expect(await metrics.text()).toContain('process_cpu_seconds_total{room="test"}')
    expect(metrics.headers.get('x-powered-by')).toBeNull()
  })

  test('asks for the token at every path but /healthz when there is one', async () => {
    const { url } = await serve({ token: 'secret' })
    for (const path of ['/', '/readyz', '/metrics', '/nowhere', '//healthz', '/healthz/../readyz']) {
      for (const authorization of [
        undefined,
        '',
        'secret',
        'Bearer',
        'Bearer secre',
        'Bearer secret2',
        'Basic secret',
        `Basic ${btoa('secret')}`,
        `Basic ${btoa('secret:')}`,
        `Basic ${btoa('user:secret2')}`,
      ]) {
        const response = await fetch(url + path, { headers: authorization === undefined ? {} : { authorization } })
        expect(response.status, `${path} with ${authorization}`).toBe(401)
        expect(response.headers.get('www-authenticate')).toMatch(/^Bearer, Basic/)
        expect(JSON.stringify(await problem(response))).not.toContain('secret')
      }
    }
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ live: true })
    for (const authorization of ['Bearer secret', 'bearer secret', 'BEARER  secret', `basic ${btoa('anybody:secret')}`])
      expect((await fetch(`${url}/readyz`, { headers: { authorization } })).status, authorization).toBe(200)
  })

  test('without a token answers only for the names of loopback: a web page may let its own name point here', async () => {
    const { port } = await serve()
    for (const host of ['localhost', `LOCALHOST:${port}`, `127.0.0.1:${port}`, '127.9.9.9', `[::1]:${port}`])
      expect(await statusFor(port, { host }), host).toBe(200)
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', 'localhost@evil.example'])
      expect(await statusFor(port, { host }), host).toBe(403)
    const guarded = await serve({ token: 'secret' })
    const headers = { host: 'plumbline.example', authorization: 'Bearer secret' }
    expect(await statusFor(guarded.port, headers)).toBe(200)
  })

  test.each([undefined, 'secret'])('refuses what a web page of another origin sends (token: %s)', async (token) => {
    const { port } = await serve({
      token,
      routes: (app) => void app.post('/do', (_request, response) => void response.end()),
    })
    const send = (origin?: string): Promise<number | undefined> =>
      statusFor(
        port,
        {
          ...(origin === undefined ? {} : { origin }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        { method: 'POST', path: '/do' },
      )
    for (const origin of [
      'http://evil.example',
      'null',
      '',
      `http://127.0.0.1:${port + 1}`,
      `http://127.0.0.1:${port}@evil.example`,
    ])
      expect(await send(origin), origin).toBe(403)
    for (const origin of [undefined, `http://127.0.0.1:${port}`]) expect(await send(origin)).toBe(200)
  })
})

/** fetch would not let us choose these headers. */
function statusFor(
  port: number,
  headers: Record<string, string>,
  { method = 'GET', path = '/readyz' } = {},
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = plainRequest({ host: '127.0.0.1', port, path, method, headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    request.on('error', reject)
    request.end()
  })
}

describe('an error', () => {
  const routes = (app: Express): void => {
    app.use(express.json({ limit: 100 }))
    app.post('/echo', (request, response) => void response.json(request.body))
    app.get('/of/:name', (request, response) => void response.json(request.params.name))
    app.get('/limit', () => {
      throw new InputError('LIMIT', 'limit', 'limit must be from 1 to 1000')
    })
    app.get('/broken', () => {
      throw new Error('password is hunter2')
    })
    app.get('/later', async () => {
      await Promise.resolve()
      throw new InputError('LIMIT', 'limit', 'later')
    })
    app.get('/half', (_request, response) => {
      response.write('half')
      throw new Error('in the middle')
    })
  }
  const post = (url: string, body: string, type = 'application/json'): Promise<Response> =>
    fetch(`${url}/echo`, { method: 'POST', body, headers: { 'content-type': type } })

  test('at an unknown path is 404 with method and path', async () => {
    const { url } = await serve({ routes })
    expect(await problem(await fetch(`${url}/no/where?x=1`, { method: 'PUT' }))).toMatchObject({
      status: 404,
      title: 'Not Found',
      detail: 'there is no PUT /no/where',
    })
  })

  test('security low: of a method that the path does not take is 405 with Allow', async () => {
    const { url } = await serve({
      routes: (app) => {
        routes(app)
        app.get('/both/:name', (_request, response) => void response.end())
        app.put('/both/:name', (_request, response) => void response.end())
      },
    })
    for (const [method, path, allow] of [
      ['DELETE', '/both/x', 'GET, HEAD, PUT'],
      ['POST', '/both/x', 'GET, HEAD, PUT'],
      ['GET', '/echo', 'POST'],
      ['PUT', '/healthz', 'GET, HEAD'],
      ['POST', '/readyz', 'GET, HEAD'],
    ]) {
      const response = await fetch(url + path, { method })
      expect([response.status, response.headers.get('allow')], `${method} ${path}`).toEqual([405, allow])
      expect((await problem(response)).detail).toBe(`${path} does not take ${method}; it takes ${allow}`)
    }
    expect((await fetch(`${url}/both`, { method: 'PUT' })).status).toBe(404)
  })

  test('of the input is 400 and names code, field and limit, also when it is thrown later', async () => {
    const { url } = await serve({ routes })
    expect(await problem(await fetch(`${url}/limit`))).toEqual({
      type: 'about:blank',
      status: 400,
      title: 'Bad Request',
      detail: 'limit must be from 1 to 1000',
      code: 'LIMIT',
      field: 'limit',
    })
    expect(await problem(await fetch(`${url}/later`))).toMatchObject({ status: 400, detail: 'later' })
  })

  test('of a malformed or too large body is 400 or 413, with the title that belongs to it', async () => {
    const { url } = await serve({ routes })
    expect(await (await post(url, '{"a":1}')).json()).toEqual({ a: 1 })
    expect(await problem(await post(url, '{"a":'))).toMatchObject({ status: 400, title: 'Bad Request' })
    expect(await problem(await post(url, JSON.stringify('x'.repeat(200))))).toMatchObject({
      status: 413,
      title: 'Payload Too Large',
      detail: 'the body has 202 bytes; the limit is 100 bytes',
    })
    expect(await problem(await post(url, '{}', 'application/json; charset=klingon'))).toMatchObject({
      status: 415,
      title: 'Unsupported Media Type',
    })
    expect(await problem(await fetch(`${url}/of/%E0%A4%A`))).toMatchObject({ status: 400 })
  })

  test('of ours is 500 and keeps its reason to the log', async () => {
    const { url } = await serve({ routes })
    const answer = await problem(await fetch(`${url}/broken`))
    expect(answer).toMatchObject({ status: 500, title: 'Internal Server Error' })
    expect(JSON.stringify(answer)).not.toContain('hunter2')
  })

  test('after the first byte of an answer ends the connection, not the process', async () => {
    const { url } = await serve({ routes })
    await expect(fetch(`${url}/half`).then((response) => response.text())).rejects.toThrow()
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })
})

describe('a client that is slow on purpose', () => {
  /** What a server says to these bytes, after which nothing more comes, until it closes the connection. */
  const answerTo = (port: number, bytes: string): Promise<string> =>
    new Promise((resolve, reject) => {
      let answer = ''
      const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
      socket.setEncoding('latin1')
      socket.on('data', (text: string) => (answer += text))
      socket.on('error', reject)
      socket.on('close', () => resolve(answer))
    })

  test('is cut off in the middle of its headers', async () => {
    const { port } = await serve()
    expect(await answerTo(port, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')).toContain('408')
  })

  test('has a bounded time for its body, and finds a bounded number of connections', async () => {
    const app = createApp({ health: new Health(), metrics: createMetrics('test'), log, token: undefined })
    const { server, close } = await listen(app, '127.0.0.1', 0, log)
    closers.push(close)
    expect(server.requestTimeout).toBe(60_000)
    expect(server.maxConnections).toBe(1_000)
  })

  test('cannot send headers without end, nor cut the request in two ways', async () => {
    const { port } = await serve()
    const head = 'GET /readyz HTTP/1.1\r\nHost: localhost\r\n'
    expect(await answerTo(port, `${head}X-Long: ${'x'.repeat(20_000)}\r\n\r\n`)).toContain('431')
    expect(
      await answerTo(port, `${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x`),
    ).toContain('400')
  })
})

describe('listening', () => {
  test('on a port in use says which, and what to do', async () => {
    const { port } = await serve()
    const app = createApp({ health: new Health(), metrics: createMetrics('test'), log, token: undefined })
    await expect(listen(app, '127.0.0.1', port, log)).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: expect.stringContaining(`port ${port} on 127.0.0.1`),
    })
  })

  test('ends although a client keeps its connection open, in use or not', async () => {
    const app = createApp({ health: new Health(), metrics: createMetrics('test'), log, token: undefined })
    app.get('/events', (_request, response) => {
      response.type('text/event-stream').write('data: 1\n\n') // and never ends
    })
    const { port, close } = await listen(app, '127.0.0.1', 0, log)
    await (await fetch(`http://127.0.0.1:${port}/healthz`)).text()
    const ended = new Promise<void>((resolve) => {
      const request = plainRequest({ port, path: '/events' }, (response) => {
        response.once('data', () => void close().then(resolve))
        response.on('error', () => undefined)
      })
      request.on('error', () => undefined)
      request.end()
    })
    await ended
    await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow()
  })
})
