// The report's plots: Apache ECharts draws each as SVG on the server side, so that the page needs no script and no
// network; resvg makes the PNG for a README of the first of them.
import { Resvg } from '@resvg/resvg-js'
import { type EChartsOption, init } from 'echarts'
import type { Sample } from './samples.ts'
import type { Brownout } from './scenario.ts'

const WIDTH = 920
const HEIGHT = 260
const COLORS = ['#2563eb', '#16a34a', '#d97706', '#9333ea']
const SHADE = 'rgba(220, 38, 38, 0.10)'

interface Plot {
  readonly title: string
  readonly unit: string
  readonly isLogarithmic?: boolean
  readonly lines: readonly { readonly name: string; readonly value: (sample: Sample) => number | null }[]
}

const PLOTS: readonly Plot[] = [
  {
    title: 'Rate',
    unit: 'readings/s',
    lines: [
      { name: 'accepted', value: (s) => s.acceptedPerS },
      { name: 'refined', value: (s) => s.refinedPerS },
      { name: 'stored', value: (s) => s.storedPerS },
      { name: 'ordered', value: (s) => s.orderedPerS },
    ],
  },
  {
    title: 'Waiting in front of each stage',
    unit: 'records',
    lines: [
      { name: 'producers', value: (s) => s.waiting.producers },
      { name: 'refine', value: (s) => s.waiting.refine },
      { name: 'sinks', value: (s) => s.waiting.sinks },
      { name: 'sequencer, extents', value: (s) => s.waiting.sequencer },
    ],
  },
  {
    title: 'Latency from sample to store',
    unit: 's',
    isLogarithmic: true,
    lines: [
      { name: 'p50', value: (s) => s.latency.p50 },
      { name: 'p99', value: (s) => s.latency.p99 },
      { name: 'p99.9', value: (s) => s.latency.p999 },
    ],
  },
  {
    title: 'Breaker of the store: 0 closed, 1 half-open, 2 open',
    unit: 'state',
    lines: [{ name: 'breaker', value: (s) => s.breaker }],
  },
  { title: 'Rows a store transaction', unit: 'rows', lines: [{ name: 'rows', value: (s) => s.batchRows }] },
  {
    title: 'Memory',
    unit: 'MB',
    lines: [
      { name: 'producers', value: (s) => s.rssMb.producers },
      { name: 'refine', value: (s) => s.rssMb.refine },
      { name: 'sinks', value: (s) => s.rssMb.sinks },
    ],
  },
]

/** One SVG per plot; brownouts are shaded. */
export function drawPlots(samples: readonly Sample[], brownouts: readonly Brownout[]): string[] {
  return PLOTS.map((plot) => draw(plot, samples, brownouts))
}

export const toPng = (svg: string): Buffer =>
  Buffer.from(new Resvg(svg, { fitTo: { mode: 'width', value: WIDTH * 2 }, background: 'white' }).render().asPng())

function draw(plot: Plot, samples: readonly Sample[], brownouts: readonly Brownout[]): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT })
  try {
    chart.setOption(optionOf(plot, samples, brownouts))
    return chart.renderToSVGString()
  } finally {
    chart.dispose()
  }
}

function optionOf(
  { title, unit, isLogarithmic = false, lines }: Plot,
  samples: readonly Sample[],
  brownouts: readonly Brownout[],
): EChartsOption {
  const shades = brownouts.map(({ kind, atMs, lengthMs }): [object, object] => [
    { name: kind, xAxis: atMs / 1_000 },
    { xAxis: (atMs + lengthMs) / 1_000 },
  ])
  return {
    animation: false,
    color: COLORS,
    title: { text: `${title}, ${unit}`, left: 0, top: 0, textStyle: { fontSize: 15 } },
    legend: { right: 20, top: 0, data: lines.map(({ name }) => name) },
    grid: { left: 70, right: 20, top: 45, bottom: 40 },
    xAxis: { type: 'value', min: 0, axisLabel: { formatter: '{value} s', showMaxLabel: false }, max: 'dataMax' },
    yAxis: { type: isLogarithmic ? 'log' : 'value', min: isLogarithmic ? 'dataMin' : 0 },
    series: lines.map(({ name, value }, i) => ({
      name,
      type: 'line',
      showSymbol: false,
      data: samples.map((sample) => [sample.atS, value(sample)]),
      markArea: i === 0 ? { silent: true, itemStyle: { color: SHADE }, data: shades as never } : undefined,
    })),
  }
}
