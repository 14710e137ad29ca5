// What a request that times out means. kafkajs 2.2.4 takes it for a slow answer: it keeps the connection and the
// metadata and sends the next try to the same broker, for as long as it has tries left. A broker that is frozen or cut
// off then holds up everything that it led, although the cluster has elected other leaders within seconds. Here, as in
// Kafka's own client (NetworkClient.handleTimedOutRequests), the connection is closed: all requests on it fail as on a
// lost connection, which makes the client ask for new metadata and turn to the new leader.
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'

const require = createRequire(import.meta.url)
const SOURCE = 'kafkajs/src/'

interface SocketRequest {
  readonly entry: { readonly apiName: string }
  timeoutRequest(): void
}

interface Connection {
  readonly host: string
  readonly port: number
  readonly socket: Socket | null
  readonly requestQueue: { createSocketRequest(pushed: unknown): SocketRequest }
  rejectRequests(error: Error): void
  disconnect(): Promise<unknown>
}

type ConnectionClass = new (options: object) => Connection
type ConnectionClosedError = new (message: string, details: { host: string; port: number }) => Error

interface ConsumerGroup {
  readonly groupId: string
  readonly cluster: { findGroupCoordinator(of: { groupId: string }): Promise<unknown> }
  coordinator: unknown
}

type Heartbeat = (this: ConsumerGroup, options: { interval: number }) => Promise<void>

const LOST_CONNECTION = new Set(['KafkaJSConnectionError', 'KafkaJSConnectionClosedError'])

/**
 * A member whose coordinator is unreachable looks it up again. kafkajs keeps the one it knows until its retries
 * are exhausted, which for a frozen broker is five request time-outs.
 */
export function lookUpLostCoordinator(): void {
  const { prototype } = require(`${SOURCE}consumer/consumerGroup.js`) as { prototype: { heartbeat: Heartbeat } }
  const { heartbeat } = prototype
  prototype.heartbeat = async function (options) {
    try {
      await heartbeat.call(this, options)
    } catch (error) {
      if (error instanceof Error && LOST_CONNECTION.has(error.name))
        this.coordinator = await this.cluster.findGroupCoordinator({ groupId: this.groupId })
      throw error
    }
  }
}

/** Call before the client is loaded: it captures the connection class at load time. */
export function closeOnRequestTimeout(): void {
  const filename = require.resolve(`${SOURCE}network/connection.js`)
  const Original = require(filename) as ConnectionClass
  const { KafkaJSConnectionClosedError } = require(`${SOURCE}errors.js`) as {
    KafkaJSConnectionClosedError: ConnectionClosedError
  }
  require.cache[filename]!.exports = class extends Original {
    constructor(options: object) {
      super(options)
      const queue = this.requestQueue
      const create = queue.createSocketRequest.bind(queue)
      queue.createSocketRequest = (pushed) => {
        const request = create(pushed)
        request.timeoutRequest = () => this.#giveUp(request.entry.apiName)
        return request
      }
    }

    #giveUp(apiName: string): void {
      const { host, port, socket } = this
      this.rejectRequests(new KafkaJSConnectionClosedError(`Request ${apiName} timed out`, { host, port }))
      this.disconnect().catch(() => undefined)
      // A frozen peer never answers a graceful close.
      socket?.destroy()
    }
  }
}
