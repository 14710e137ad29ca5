// Reads /metrics and /readyz of the services and derives the panel's numbers. A service that does not answer is a
// problem to show, never an error.
import type { Frame, PipelineView, ProcessMetrics } from './core/pipeline.ts'
import { FrameWindow } from './core/pipeline.ts'
import { parseExposition } from './core/exposition.ts'

const PROBE_TIMEOUT_MS = 2_000
/** Short enough to follow by eye, long enough not to flicker. */
const SPAN_MS = 10_000

export interface Watched {
  /** Name of the process; a service may have several. */
  readonly name: string
  readonly service: string
  readonly url: string
}

export interface Observation {
  readonly view: PipelineView
  readonly troubles: readonly string[]
}

export class Monitor {
  readonly #token: string | undefined
  readonly #window: FrameWindow

  /** @param spanMs what rates and latencies are taken over, ms */
  constructor(token: string | undefined, spanMs = SPAN_MS) {
    this.#token = token
    this.#window = new FrameWindow(spanMs)
  }

  async observe(watched: readonly Watched[]): Promise<Observation> {
    const answers = await Promise.all(watched.map((service) => this.#ask(service)))
    const processes = new Map<string, ProcessMetrics>()
    watched.forEach(({ name, service }, i) => {
      const { metrics } = answers[i]
      if (metrics !== null) processes.set(name, { service, metrics: parseExposition(metrics) })
    })
    const frame: Frame = { atMs: performance.now(), processes }
    return {
      view: this.#window.add(frame),
      troubles: answers.flatMap(({ trouble }) => (trouble === null ? [] : [trouble])),
    }
  }

  async #ask({ name, url }: Watched): Promise<{ metrics: string | null; trouble: string | null }> {
    const headers = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }
    const get = (path: string): Promise<Response> =>
      fetch(`${url}${path}`, { headers, signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })
    try {
      const [metrics, ready] = await Promise.all([get('/metrics'), get('/readyz')])
      const { checks = {} } = (await ready.json()) as { checks?: Record<string, { ready: boolean; detail: string }> }
      const unready = Object.values(checks).filter((check) => !check.ready)
      const trouble = ready.ok ? null : `${name} is not ready: ${unready.map(({ detail }) => detail).join('; ')}`
      return { metrics: metrics.ok ? await metrics.text() : null, trouble }
    } catch {
      return { metrics: null, trouble: `${name} does not answer at ${url}` }
    }
  }
}
