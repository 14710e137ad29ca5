// The status panel as text: the live one of `up`, the one shot of `status`, and the one line for output that is no
// terminal. Pure: numbers in, lines out.
import { showDuration } from '../../../platform/duration.ts'
import type { Latency, PipelineView } from './pipeline.ts'

export interface PanelState {
  readonly view: PipelineView
  readonly uptimeMs: number
  readonly restarts: number
  /** Problems: a service that restarts, a check that fails. */
  readonly troubles: readonly string[]
  /** Shown below, as name and address. */
  readonly links: readonly (readonly [name: string, address: string])[]
  /** Shown at the upper right. */
  readonly hint: string
}

/** How a part of the panel is emphasised; the identity where there are no colours. */
export interface Paint {
  bold(text: string): string
  dim(text: string): string
  warn(text: string): string
}

export const PLAIN: Paint = { bold: (text) => text, dim: (text) => text, warn: (text) => text }

const WIDTH = 78
const LABEL = 12
const CELL = 11

/** The panel, at most `WIDTH` columns wide. */
export function renderPanel({ view, uptimeMs, restarts, troubles, links, hint }: PanelState, paint: Paint): string {
  const { stages, latencies, counts, nodes, order } = view
  const title = `Plumbline · up ${showDuration(uptimeMs)}`
  const lines = [
    `${paint.bold(title)}${paint.dim(hint.padStart(WIDTH - title.length))}`,
    '',
    paint.dim(` ${'stage'.padEnd(LABEL)}${cells('in/s', 'out/s', 'waiting', 'total out', 'CPU', 'memory')}`),
    ...stages.map(
      ({ name, inPerS, outPerS, lag, total, cpu, rssBytes }) =>
        ` ${name.padEnd(LABEL)}${cells(count(inPerS), count(outPerS), count(lag), count(total), `${(cpu * 100).toFixed(0)} %`, `${(rssBytes / 1_048_576).toFixed(0)} MB`)}`,
    ),
    '',
    ...latencies.map((latency, i) => ` ${(i === 0 ? 'latency' : '').padEnd(LABEL)}${latencyText(latency)}`),
    '',
    ` ${'records'.padEnd(LABEL)}${count(counts.consumed)} read = ${count(counts.emitted)} clean + ${count(counts.duplicates)} duplicates + ${count(counts.late)} late`,
    ` ${''.padEnd(LABEL)}${spaces(count(counts.consumed))}      + ${count(counts.deadLetters)} dead letters + ${count(counts.held)} waiting for their turn`,
    ` ${'found'.padEnd(LABEL)}${count(counts.anomalies)} anomalies · ${count(counts.gaps)} gaps abandoned`,
    ` ${'order'.padEnd(LABEL)}${count(order.nextSequence)} readings have their sequence · ${count(order.waitingExtents)} extents waiting${replicasText(order)}`,
    ` ${'fleet'.padEnd(LABEL)}${count(nodes.count)} nodes · ${emphasised(nodes.degraded, 'degraded', paint)} · ${emphasised(nodes.paused, 'paused', paint)} · ${emphasised(restarts, 'restarts', paint)}`,
    ...troubles.map((trouble) => paint.warn(` ! ${trouble}`.slice(0, WIDTH * 2))),
  ]
  if (links.length > 0) lines.push('', ...links.map(([name, address]) => ` ${paint.dim(name.padEnd(LABEL))}${address}`))
  return lines.join('\n')
}

/** One plain line. */
export function renderLine({ view, uptimeMs, restarts, troubles }: PanelState): string {
  const { stages, latencies, counts, nodes } = view
  const flow = stages.map(({ name, outPerS, lag }) => `${name} ${count(outPerS)}/s (${count(lag)} waiting)`).join(' → ')
  const end = latencies.at(-1)
  return [
    `up ${showDuration(uptimeMs)}`,
    flow,
    ...(end === undefined ? [] : [`${end.name} p50 ${seconds(end.p50)} p99 ${seconds(end.p99)}`]),
    `${count(counts.duplicates)} duplicates, ${count(counts.late)} late, ${count(counts.deadLetters)} dead letters, ${count(counts.anomalies)} anomalies`,
    `${count(nodes.degraded)} degraded, ${count(restarts)} restarts`,
    ...troubles,
  ].join(' | ')
}

const replicasText = ({ replicas, waitingForReplicas }: PipelineView['order']): string =>
  replicas === 0 ? '' : ` · ${count(replicas)} replicas, ${count(waitingForReplicas)} behind`

function latencyText({ name, p50, p99, beyond }: Latency): string {
  const older = beyond > 0 ? `   ${(beyond * 100).toFixed(1)} % older than 30 s` : ''
  return `${name.padEnd(17)}p50 ${seconds(p50).padStart(7)}   p99 ${seconds(p99).padStart(7)}${older}`
}

function seconds(value: number | null): string {
  if (value === null) return '–'
  return value < 1 ? `${(value * 1_000).toFixed(0)} ms` : `${value.toFixed(1)} s`
}

const emphasised = (value: number, what: string, paint: Paint): string =>
  value > 0 ? paint.warn(`${count(value)} ${what}`) : `0 ${what}`

/** With thousands separators, for readability. */
export const count = (value: number): string => Math.round(value).toLocaleString('en-US')

const spaces = (text: string): string => ' '.repeat(text.length)

const cells = (...texts: string[]): string => texts.map((text) => text.padStart(CELL - 1)).join(' ')
