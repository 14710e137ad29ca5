// The registry's REST API, as Confluent's clients and tools expect it: paths, bodies, error codes and content type.
import type { ErrorRequestHandler, Express, Request, Response } from 'express'
import { InputError, messageOf } from '../platform/errors.ts'
import { createApp, type AppOptions, methodsAt } from '../platform/http.ts'
import { jsonBody } from '../platform/json-body.ts'
import {
  candidateOf,
  checkSubject,
  deleteSubject,
  deleteVersion,
  findVersion,
  lookUp,
  register,
  registered,
  setLevel,
  testCompatibility,
  unsetLevel,
} from './core/decide.ts'
import type { SchemaValue } from './core/records.ts'
import { configNotFound, Refusal, schemaNotFound, subjectNotFound } from './core/refusal.ts'
import { DEFAULT_LEVEL } from './core/compatibility.ts'
import type { RegistryState } from './core/state.ts'
import type { Registry } from './registry.ts'

const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json'
/** A schema of the largest size, escaped into a JSON string. */
const BODY_BYTES_MAX = 1_048_576
/** Confluent's name of the context that everything belongs to where there are no others. */
const DEFAULT_CONTEXT = '.'

type Params = Record<string, string>

export function createRegistryApp(registry: Registry, options: AppOptions): Express {
  const app = createApp(options)
  app.use(...jsonBody(BODY_BYTES_MAX))
  addSubjects(app, registry)
  addSchemas(app, registry)
  addSettings(app, registry)
  app.use((request, response) => {
    const allowed = methodsAt(app, request.path)
    if (allowed.length === 0) return send(response, { error_code: 404, message: 'HTTP 404 Not Found' }, 404)
    response.set('Allow', allowed.join(', '))
    send(response, { error_code: 405, message: `HTTP 405 Method Not Allowed: it takes ${allowed.join(', ')}` }, 405)
  })
  app.use(errorHandler(options.log))
  return app
}

function addSubjects(app: Express, registry: Registry): void {
  const { state } = registry
  app.get('/subjects', (request, response) => send(response, state.subjects(flag(request, 'deleted'))))
  app.post('/subjects/:subject', (request: Request<Params>, response) => {
    const candidate = candidateOf(request.params.subject, request.body)
    send(response, described(state, lookUp(state, candidate, flag(request, 'deleted'))))
  })
  app.delete('/subjects/:subject', async (request: Request<Params>, response) => {
    const { subject } = request.params
    send(response, await registry.write((now) => deleteSubject(now, subject, flag(request, 'permanent'))))
  })
  app.get('/subjects/:subject/versions', (request: Request<Params>, response) => {
    const { subject } = request.params
    const versions = state.versions(subject, flag(request, 'deleted'))
    if (versions.length === 0) throw subjectNotFound(subject)
    const numbers = versions.map(({ version }) => version)
    send(response, numbers)
  })
  app.post('/subjects/:subject/versions', async (request: Request<Params>, response) => {
    const candidate = candidateOf(request.params.subject, request.body)
    // From memory if nothing has to be written: a restarting process need not wait for an unavailable broker.
    const known = registered(state, candidate)
    send(response, known ?? (await registry.write((now) => register(now, candidate))))
  })
  app.get('/subjects/:subject/versions/:version', (request: Request<Params>, response) => {
    const { subject, version } = request.params
    send(response, described(state, findVersion(state, subject, version, flag(request, 'deleted'))))
  })
  app.get('/subjects/:subject/versions/:version/schema', (request: Request<Params>, response) => {
    const { subject, version } = request.params
    const { schema } = findVersion(state, subject, version, flag(request, 'deleted'))
    sendText(response, schema)
  })
  app.delete('/subjects/:subject/versions/:version', async (request: Request<Params>, response) => {
    const { subject, version } = request.params
    send(response, await registry.write((now) => deleteVersion(now, subject, version, flag(request, 'permanent'))))
  })
}

function addSchemas(app: Express, registry: Registry): void {
  const { state } = registry
  const find = (request: Request<Params>): SchemaValue => {
    const { id } = request.params
    const value = /^\d{1,10}$/.test(id) ? state.byId(Number(id)) : undefined
    if (value === undefined) throw schemaNotFound(id)
    return value
  }
  app.get('/schemas', (request, response) => {
    const deletedToo = flag(request, 'deleted')
    send(
      response,
      state
        .subjects(deletedToo)
        .flatMap((name) => state.versions(name, deletedToo).map((one) => described(state, one))),
    )
  })
  app.get('/schemas/ids/:id', (request: Request<Params>, response) => {
    const { schema, schemaType, references } = find(request)
    send(response, { schema, ...foreign({ schemaType, references }) })
  })
  const findByGuid = (request: Request<Params>): SchemaValue => {
    const { guid } = request.params
    const value = state.byGuid(guid)
    if (value === undefined) throw schemaNotFound(guid)
    return value
  }
  app.get('/schemas/guids/:guid', (request: Request<Params>, response) => {
    const value = findByGuid(request)
    const { schema, schemaType, references } = value
    send(response, { schema, guid: state.guidOf(value), ...foreign({ schemaType, references }) })
  })
  app.get('/schemas/guids/:guid/ids', (request: Request<Params>, response) => {
    send(response, [{ context: DEFAULT_CONTEXT, id: findByGuid(request).id }])
  })
  app.get('/schemas/ids/:id/versions', (request: Request<Params>, response) => {
    const uses = state.usesOf(find(request).id, flag(request, 'deleted'))
    const versions = uses.map(({ subject, version }) => ({ subject, version }))
    send(response, versions)
  })
  app.get('/schemas/ids/:id/subjects', (request: Request<Params>, response) => {
    const uses = state.usesOf(find(request).id, flag(request, 'deleted'))
    send(response, [...new Set(uses.map(({ subject }) => subject))])
  })
  app.post('/compatibility/subjects/:subject/versions/:version', (request: Request<Params>, response) => {
    const candidate = candidateOf(request.params.subject, request.body)
    const messages = testCompatibility(state, candidate, request.params.version)
    send(response, { is_compatible: messages.length === 0, ...(flag(request, 'verbose') ? { messages } : {}) })
  })
}

function addSettings(app: Express, registry: Registry): void {
  const { state } = registry
  app.get('/config', (_request, response) => {
    send(response, { compatibilityLevel: state.ownLevel(null) ?? DEFAULT_LEVEL })
  })
  app.get('/config/:subject', (request: Request<Params>, response) => {
    const { subject } = request.params
    const level = flag(request, 'defaultToGlobal') ? state.levelFor(subject) : state.ownLevel(subject)
    if (level === undefined) throw configNotFound(subject)
    send(response, { compatibilityLevel: level })
  })
  app.put('/config', async (request, response) => {
    send(response, await registry.write(() => setLevel(null, request.body)))
  })
  app.put('/config/:subject', async (request: Request<Params>, response) => {
    const subject = checkSubject(request.params.subject)
    send(response, await registry.write(() => setLevel(subject, request.body)))
  })
  app.delete('/config', async (_request, response) => {
    send(response, await registry.write((now) => unsetLevel(now, null)))
  })
  app.delete('/config/:subject', async (request: Request<Params>, response) => {
    send(response, await registry.write((now) => unsetLevel(now, request.params.subject)))
  })
  app.get('/mode', (_request, response) => send(response, { mode: state.modeFor(null) }))
}

/** A version as Confluent describes it; `schemaType` only if it is not Avro. */
function described(state: RegistryState, value: SchemaValue): object {
  const { subject, version, id, schema, schemaType, references } = value
  return { subject, version, id, guid: state.guidOf(value), schema, ...foreign({ schemaType, references }) }
}

function foreign({ schemaType, references }: Pick<SchemaValue, 'schemaType' | 'references'>): object {
  return {
    ...(schemaType === undefined || schemaType === 'AVRO' ? {} : { schemaType }),
    ...(references === undefined || references.length === 0 ? {} : { references }),
  }
}

const flag = (request: { query: Request['query'] }, name: string): boolean => request.query[name] === 'true'

function send(response: Response, body: unknown, status = 200): void {
  response.status(status)
  sendText(response, JSON.stringify(body))
}

/** As bytes: to a string Express would add a charset, which strict clients do not expect in the content type. */
function sendText(response: Response, text: string): void {
  response.set('Content-Type', CONTENT_TYPE).send(Buffer.from(text))
}

const errorHandler =
  (log: AppOptions['log']): ErrorRequestHandler =>
  (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error)
    const refusal = error instanceof Refusal ? error : requestRefusal(error)
    if (refusal.status >= 500) log.error({ err: error }, 'request failed')
    send(response, { error_code: refusal.errorCode, message: refusal.message }, refusal.status)
  }

/** The body parser and the router mark the client's mistakes with a 4xx status; anything else is ours. */
function requestRefusal(error: unknown): Refusal {
  if (error instanceof InputError) return new Refusal(400, error.message)
  const status = (error as { status?: unknown } | null)?.status
  const isClients = typeof status === 'number' && status >= 400 && status < 500
  return isClients ? new Refusal(status, messageOf(error)) : new Refusal(500, 'the request failed; the log says why')
}
