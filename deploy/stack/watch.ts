// Shows the stack while it runs: one live panel on a terminal, one plain line every few seconds elsewhere.
import { styleText } from 'node:util'
import { createLogUpdate } from 'log-update'
import { type Paint, type PanelState, renderLine, renderPanel } from './core/panel.ts'
import { Monitor } from './monitor.ts'
import type { Service } from './service.ts'
import type { Stack } from './stack.ts'
import { pause } from '../../platform/retry.ts'

const PANEL_EVERY_MS = 1_000
const LINE_EVERY_MS = 5_000

/** Something more to show, as name and text. */
type Note = readonly [name: string, text: string]

/**
 * Shows how it goes until the signal fires.
 * @param notes shown beside, as they are at the time
 */
export async function watchStack(
  stack: Stack,
  hint: string,
  signal: AbortSignal,
  notes: () => readonly Note[] = () => [],
): Promise<void> {
  const out = process.stdout
  const monitor = new Monitor(stack.plan.config.API_TOKEN)
  const update = out.isTTY ? createLogUpdate(out) : null
  const paint = paintFor(out)
  while (!signal.aborted) {
    const state = await observe(stack, monitor, hint)
    const noted = notes()
    if (update === null)
      out.write(`${[renderLine(state), ...noted.map(([name, text]) => `${name} ${text}`)].join(' | ')}\n`)
    else update(renderPanel({ ...state, links: [...noted, ...state.links] }, paint))
    await pause(update === null ? LINE_EVERY_MS : PANEL_EVERY_MS, signal)
  }
  update?.done()
}

async function observe(stack: Stack, monitor: Monitor, hint: string): Promise<PanelState> {
  const services = stack.services()
  const running = services.filter(({ state }) => state.kind === 'running')
  const { view, troubles } = await monitor.observe(running.map(({ spec }) => spec))
  return {
    view,
    uptimeMs: Date.now() - stack.startedMs,
    restarts: stack.restarts(),
    troubles: [...services.flatMap(troubleOf), ...troubles],
    links: linksOf(stack),
    hint,
  }
}

function troubleOf({ spec, state }: Service): string[] {
  switch (state.kind) {
    case 'running':
    case 'starting':
    case 'stopped':
      return []
    case 'waiting':
      return [`${spec.name} ended with exit code ${state.exitCode} and is started again; see ${spec.logFile}`]
    case 'failed':
      return [`${spec.name} ${state.why}; see ${spec.logFile}`]
  }
}

export function linksOf({ plan }: Stack): (readonly [string, string])[] {
  const [{ url: query }] = plan.services['query-api']
  const [{ url: producers }] = plan.services.producers
  return [
    ['query', `${query}/sensors   (curl; /sites/{site}/agg, /anomalies)`],
    ['ingest', `POST ${producers}/readings`],
    ['Kafka', plan.addresses.KAFKA_BROKERS],
    ['registry', `${plan.addresses.REGISTRY_URL}/subjects`],
    ['metrics', `${query}/metrics and of every other part`],
    ['logs', `${plan.config.DATA_DIR}/logs`],
  ]
}

export const paintFor = (stream: NodeJS.WriteStream): Paint => ({
  bold: (text) => styleText('bold', text, { stream }),
  dim: (text) => styleText('dim', text, { stream }),
  warn: (text) => styleText('yellow', text, { stream }),
})
