// Simulated nodes come and go at run time (MI-7): GET /nodes, POST /nodes {"count": n} or {"id": "…"}, DELETE /nodes/{id}.
import type { Express, Request } from 'express'
import { z } from 'zod'
import type { Clock } from '../../../platform/clock.ts'
import { InputError } from '../../../platform/errors.ts'
import { sendProblem } from '../../../platform/http.ts'
import { jsonBody, withoutParameters } from '../../../platform/json-body.ts'
import type { Heartbeats } from '../../heartbeats.ts'
import type { Fleet } from '../../nodes/fleet.ts'
import type { Node } from '../../nodes/node.ts'

export interface NodeRoutesOptions {
  readonly fleet: Fleet
  readonly clock: Clock
  readonly heartbeats: Heartbeats
  /** How long a node that leaves may take to send what it has, ms. */
  readonly drainMs: number
  readonly onAdded: (nodes: readonly Node[]) => void
}

const BODY_BYTES = 1_024
const nodesRequest = z.strictObject({ id: z.string().optional(), count: z.number().int().min(1).max(1_000).default(1) })

export function addNodeRoutes(app: Express, options: NodeRoutesOptions): void {
  const { fleet, clock, heartbeats, drainMs, onAdded } = options
  app.get('/nodes', withoutParameters, (_request, response) => {
    response.json({
      nodes: [...fleet.nodes].map(({ id, sensors, degraded, paused }) => ({ id, sensors, degraded, paused })),
    })
  })
  app.post('/nodes', withoutParameters, ...jsonBody(BODY_BYTES), (request, response) => {
    const { id, count } = parseRequest(request.body)
    const added = id === undefined ? Array.from({ length: count }, () => fleet.add()) : [fleet.add(id)]
    onAdded(added)
    // Members learn of a node at once, not when all send their next heartbeat.
    void heartbeats.send(added.map((node) => node.heartbeat(clock.mono(), clock.now(), false)))
    response.status(201).json({ nodes: added.map((node) => node.id) })
  })
  app.delete('/nodes/:id', withoutParameters, async (request: Request<{ id: string }>, response) => {
    const heartbeat = await fleet.remove(request.params.id, drainMs)
    if (heartbeat === null)
      return sendProblem(response, { status: 404, title: 'Not Found', detail: `there is no node ${request.params.id}` })
    await heartbeats.send([heartbeat])
    response.json({ node: heartbeat.node_id, accepted: heartbeat.accepted, acknowledged: heartbeat.acknowledged })
  })
}

function parseRequest(body: unknown): z.output<typeof nodesRequest> {
  const parsed = nodesRequest.safeParse(body)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const field = issue.path.join('.')
  throw new InputError('INVALID', field, `${field === '' ? 'the body' : field}: ${issue.message}`)
}
