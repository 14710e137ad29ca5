// Reads of the store in worker threads: SQLite answers on the thread that asks, and an aggregate over a large site takes
// seconds, during which health checks, heartbeats and quick answers must continue. Every worker has a connection of its own.
//
// What waits is bounded, and aggregates never have all workers, so that the quick reads always find one. A read whose
// client has gone, or whose time is over, is given up at once; since no statement can be interrupted, its worker is
// ended when the read does not end by itself soon, and the next read starts another.
import { Worker } from 'node:worker_threads'
import { messageOf, PlumblineError } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { StoreConfig } from '../../platform/store/open.ts'
import type { ReadResult } from './finding.ts'
import { errorOf, type ReadReply, type ReadRequest } from './messages.ts'
import type { ReadName, ReadParams } from './reads.ts'
import type { StoreReader } from './store-reader.ts'

/** Memory that one read may take, MB: the largest answer takes some 50. */
const HEAP_MB = 512
/** How long a read that nobody wants any more may continue before its worker is ended, ms: longer than most reads take. */
const GRACE_MS = 250

export interface ReadPoolOptions {
  readonly store: StoreConfig
  /** At least 2: one is kept for quick reads. */
  readonly workers: number
  /** Reads that may wait for a worker. */
  readonly waitingMax: { readonly quick: number; readonly heavy: number }
  readonly log: Logger
}

export type PoolErrorCode = 'BUSY' | 'READ_ABANDONED' | 'WORKER_FAILED' | 'CLOSED'

/** The pool could not run a read, whatever the store would have said. */
export class PoolError extends PlumblineError<PoolErrorCode> {
  constructor(code: PoolErrorCode, message: string, cause?: unknown) {
    super(code, message, { retriable: true, cause })
  }
}

type Weight = 'quick' | 'heavy'
const weightOf = (name: ReadName): Weight => (name === 'aggregate' ? 'heavy' : 'quick')

interface Job {
  readonly weight: Weight
  readonly request: ReadRequest
  readonly signal: AbortSignal
  readonly resolve: (result: ReadResult) => void
  readonly reject: (error: unknown) => void
  readonly onAbort: () => void
}

/** A thread, and the read that it works on. */
interface Slot {
  readonly worker: Worker
  job: Job | null
  /** Ends the thread when its read was abandoned. */
  ending: NodeJS.Timeout | null
}

export class ReadPool implements StoreReader {
  readonly #options: ReadPoolOptions
  readonly #slots = new Set<Slot>()
  readonly #waiting: Job[] = []
  #closed = false

  constructor(options: ReadPoolOptions) {
    this.#options = options
  }

  read<N extends ReadName>(name: N, params: ReadParams<N>, signal: AbortSignal): Promise<ReadResult> {
    const weight = weightOf(name)
    const max = this.#options.waitingMax[weight]
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new PoolError('CLOSED', 'the process is stopping'))
      if (signal.aborted) return reject(abandoned())
      if (this.#waiting.filter((job) => job.weight === weight).length >= max)
        return reject(new PoolError('BUSY', `${max} such requests are waiting already, which is the limit: try again`))
      const onAbort = (): void => this.#abandon(job)
      const job: Job = { weight, request: { name, params }, signal, resolve, reject, onAbort }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(job)
      this.#dispatch()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const job of this.#waiting.splice(0)) settle(job, () => job.reject(stopping()))
    await Promise.all([...this.#slots].map(({ worker }) => worker.terminate()))
  }

  /** Gives waiting reads to idle workers, oldest first. */
  #dispatch(): void {
    for (;;) {
      const heavy = [...this.#slots].filter(({ job }) => job?.weight === 'heavy').length
      const next = this.#waiting.findIndex(({ weight }) => weight === 'quick' || heavy < this.#options.workers - 1)
      if (next === -1) return
      const slot = [...this.#slots].find(({ job, ending }) => job === null && ending === null) ?? this.#start()
      if (slot === null) return
      const [job] = this.#waiting.splice(next, 1)
      slot.job = job
      slot.worker.postMessage(job.request)
    }
  }

  /** Null: there are as many as may be. */
  #start(): Slot | null {
    if (this.#closed || this.#slots.size >= this.#options.workers) return null
    const worker = new Worker(new URL('worker.ts', import.meta.url), {
      name: 'read',
      workerData: this.#options.store,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    })
    const slot: Slot = { worker, job: null, ending: null }
    this.#slots.add(slot)
    worker.on('message', (reply: ReadReply) => this.#onReply(slot, reply))
    worker.on('error', (error) => this.#onFailure(slot, error))
    worker.on('exit', () => this.#onExit(slot))
    return slot
  }

  #onReply(slot: Slot, reply: ReadReply): void {
    const { job } = slot
    if (slot.ending !== null) clearTimeout(slot.ending)
    slot.ending = null
    slot.job = null
    if (job !== null) settle(job, () => (reply.ok ? job.resolve(reply.result) : job.reject(errorOf(reply.error))))
    this.#dispatch()
  }

  #onFailure({ job }: Slot, error: unknown): void {
    this.#options.log.error({ err: error }, 'a read thread failed')
    if (job !== null)
      settle(job, () => job.reject(new PoolError('WORKER_FAILED', `the read failed: ${messageOf(error)}`, error)))
  }

  #onExit(slot: Slot): void {
    this.#slots.delete(slot)
    if (slot.ending !== null) clearTimeout(slot.ending)
    const { job } = slot
    if (job !== null) settle(job, () => job.reject(stopping()))
    this.#dispatch()
  }

  #abandon(job: Job): void {
    settle(job, () => job.reject(abandoned()))
    const at = this.#waiting.indexOf(job)
    if (at !== -1) this.#waiting.splice(at, 1)
    const slot = [...this.#slots].find((one) => one.job === job)
    if (slot !== undefined) slot.ending = setTimeout(() => void slot.worker.terminate(), GRACE_MS)
  }
}

/** Rejecting what has been settled already changes nothing. */
function settle(job: Job, how: () => void): void {
  job.signal.removeEventListener('abort', job.onAbort)
  how()
}

export const abandoned = (): PoolError =>
  new PoolError('READ_ABANDONED', 'the read was abandoned: its client has gone or its time is over')
const stopping = (): PoolError => new PoolError('CLOSED', 'the process is stopping')
