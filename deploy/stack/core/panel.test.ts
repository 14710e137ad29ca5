import { describe, expect, it } from 'vitest'
import { parseExposition } from './exposition.ts'
import { type PanelState, PLAIN, renderLine, renderPanel } from './panel.ts'
import { type Frame, FrameWindow, recordBatchOf } from './pipeline.ts'

const frame = (atMs: number, processes: Record<string, [service: string, text: string]>): Frame => ({
  atMs,
  processes: new Map(
    Object.entries(processes).map(([name, [service, text]]) => [name, { service, metrics: parseExposition(text) }]),
  ),
})

const refined = (consumed: number, emitted: number, duplicate = 0): string =>
  [
    `plumbline_refine_records_total{outcome="consumed"} ${consumed}`,
    `plumbline_refine_records_total{outcome="emitted"} ${emitted}`,
    `plumbline_refine_records_total{outcome="duplicate"} ${duplicate}`,
    'plumbline_refine_lag_records{partition="0"} 4',
    'plumbline_refine_lag_records{partition="1"} 5',
  ].join('\n')

const stage = (view: ReturnType<typeof recordBatchOf>, name: string) => view.stages.find((each) => each.name === name)!

describe('the view of the pipeline', () => {
  it('adds up the processes of a service, rates as well as lag', () => {
    const before = frame(0, {
      'stream-jobs': ['stream-jobs', refined(100, 90)],
      'stream-jobs-2': ['stream-jobs', refined(50, 40)],
    })
    const after = frame(2_000, {
      'stream-jobs': ['stream-jobs', refined(300, 280)],
      'stream-jobs-2': ['stream-jobs', refined(150, 140)],
    })
    const view = recordBatchOf(before, after)
    expect(stage(view, 'refine')).toMatchObject({ inPerS: 150, outPerS: 145, lag: 18, total: 420 })
  })

  it('counts a process that has restarted from 0, and one that is new not at all yet', () => {
    const before = frame(0, { 'stream-jobs': ['stream-jobs', refined(1_000, 1_000)] })
    const after = frame(1_000, {
      'stream-jobs': ['stream-jobs', refined(7, 7)],
      'stream-jobs-2': ['stream-jobs', refined(500, 500)],
    })
    expect(stage(recordBatchOf(before, after), 'refine').inPerS).toBe(7)
  })

  it('stays a view when a service does not answer', () => {
    const view = recordBatchOf(frame(0, {}), frame(1_000, {}))
    expect(view.stages.map(({ inPerS }) => inPerS)).toEqual([0, 0, 0])
    expect(view.latencies.map(({ p50 }) => p50)).toEqual([null, null])
  })

  it('compares with a reading that is about the span old, not with the first', () => {
    const window = new FrameWindow(10_000)
    const at = (second: number, consumed: number) =>
      frame(second * 1_000, { jobs: ['stream-jobs', refined(consumed, 0)] })
    window.add(at(0, 0))
    for (let second = 1; second <= 20; second += 1) window.add(at(second, second * 10))
    expect(stage(window.add(at(21, 1_210)), 'refine').inPerS).toBe(100 + 10)
  })
})

const state = (over: Partial<PanelState> = {}): PanelState => ({
  view: recordBatchOf(
    frame(0, { jobs: ['stream-jobs', refined(0, 0)] }),
    frame(1_000, { jobs: ['stream-jobs', refined(1_234_567, 1_234_000, 567)] }),
  ),
  uptimeMs: 72_000,
  restarts: 0,
  troubles: [],
  links: [['query', 'http://127.0.0.1:8080']],
  hint: 'Ctrl-C stops everything',
  ...over,
})

describe('the panel', () => {
  it('shows what became of the records that were read', () => {
    const text = renderPanel(state(), PLAIN)
    expect(text).toContain('1,234,567 read = 1,234,000 clean + 567 duplicates + 0 late')
    expect(text).toContain('up 1 min 12 s')
    expect(text).toContain('http://127.0.0.1:8080')
  })

  it('fits a terminal of 80 columns', () => {
    for (const line of renderPanel(state(), PLAIN).split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  })

  it('shows troubles, and emphasises what should be 0', () => {
    const marked = { ...PLAIN, warn: (text: string) => `<${text}>` }
    const text = renderPanel(state({ restarts: 2, troubles: ['sinks does not answer'] }), marked)
    expect(text).toContain('<2 restarts>')
    expect(text).toContain('< ! sinks does not answer>')
    expect(text).toContain('0 degraded')
  })

  it('is one line where there is no terminal', () => {
    const line = renderLine(state({ troubles: ['sinks does not answer'] }))
    expect(line).not.toContain('\n')
    expect(line).toContain('567 duplicates')
    expect(line).toContain('sinks does not answer')
  })
})
