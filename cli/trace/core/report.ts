// A trace as steps in the order of their times, for people and for programs: where each thing is, when it came there, how
// long after the step before it, and what is not there.
import { renderTable } from '../../core/table.ts'
import type { Fate, Found, FoundLetter } from './fates.ts'
import type { Target } from './target.ts'

export interface Step {
  readonly step: 'wal' | 'raw' | 'clean' | 'late' | 'extent' | 'order' | 'row' | 'dead letter' | 'replay'
  /** Topic/partition@offset, a folder or a store; null where it is not there. */
  readonly where: string | null
  readonly timeMs: number | null
  readonly what: string
}

export interface Trace {
  readonly target: Target | null
  readonly steps: readonly Step[]
  /** One of: clean, late, dead letter, duplicate, waiting, open, not found; of the first raw record. */
  readonly fate: string
  readonly notes: readonly string[]
}

export const placeOf = ({ topic, partition, offset }: { topic: string; partition: number; offset: number }): string =>
  `${topic}/${partition}@${offset}`

/** What is said of a raw record and of where it led. */
export function stepsOf(raw: Found, fate: Fate): Step[] {
  const replay = raw.replayOf === undefined ? '' : `, a replay of the dead letter ${raw.replayOf}`
  const own = ({ what }: { what: string }): Step => ({
    step: 'raw',
    where: placeOf(raw),
    timeMs: raw.timeMs,
    what: `${what}${replay}`,
  })
  switch (fate.kind) {
    case 'clean':
      return [
        own({ what: 'accepted' }),
        { step: 'clean', where: placeOf(fate.to), timeMs: fate.to.timeMs, what: 'in its order' },
      ]
    case 'late':
      return [
        own({ what: 'accepted' }),
        { step: 'late', where: placeOf(fate.to), timeMs: fate.to.timeMs, what: fate.to.reason ?? 'late' },
      ]
    case 'dead letter':
      return [own({ what: 'refused' })]
    case 'duplicate':
      return [own({ what: `a duplicate of ${placeOf(fate.of)}` })]
    case 'waiting':
      return [own({ what: 'not read by refine yet' })]
    case 'open':
      return [own({ what: 'read by refine; held back, or its outcome is not kept any more' })]
  }
}

export function letterSteps({ place, timeMs, stage, reason, message, state, markedMs }: FoundLetter): Step[] {
  const letter: Step = {
    step: 'dead letter',
    where: `telemetry.dlq/${place}`,
    timeMs,
    what: `${reason} (${stage}): ${message}`,
  }
  if (state === 'open')
    return [letter, { step: 'replay', where: null, timeMs: null, what: 'open: neither replayed nor dropped' }]
  return [letter, { step: 'replay', where: 'telemetry.dlq.marks', timeMs: markedMs, what: state }]
}

/** Steps with a time in its order, each with the ms since the one before it; those without a time last. */
export function ordered(steps: readonly Step[]): { step: Step; afterMs: number | null }[] {
  const timed = steps.filter(({ timeMs }) => timeMs !== null).sort((a, b) => a.timeMs! - b.timeMs!)
  const others = steps.filter(({ timeMs }) => timeMs === null)
  // What the write-ahead log says has no time, and comes before everything.
  const first = others.filter(({ step }) => step === 'wal')
  return [
    ...first.map((step) => ({ step, afterMs: null })),
    ...timed.map((step, i) => ({ step, afterMs: i === 0 ? null : step.timeMs! - timed[i - 1].timeMs! })),
    ...others.filter(({ step }) => step !== 'wal').map((step) => ({ step, afterMs: null })),
  ]
}

export function traceText({ target, steps, fate, notes }: Trace): string {
  const rows = ordered(steps).map(({ step, afterMs }) => [
    step.step,
    step.where ?? 'not there',
    step.timeMs === null ? '' : new Date(step.timeMs).toISOString(),
    afterMs === null ? '' : `+${afterMs.toLocaleString('en')} ms`,
    step.what,
  ])
  return [
    ...(target === null ? [] : [titleOf(target)]),
    renderTable(['step', 'where', 'time', 'after', 'what'], rows, ['left', 'left', 'left', 'right', 'left']),
    ...notes,
    `fate: ${fate}`,
  ].join('\n')
}

function titleOf({ tenant, sensor, ts, number }: Target): string {
  const time = ts === null ? '' : `, event time ${ts} (${new Date(ts).toISOString()})`
  return `tenant ${tenant}, sensor ${sensor}${time}${number === null ? '' : `, epoch ${number.epoch}, seq ${number.seq}`}`
}

export function traceJson({ target, steps, fate, notes }: Trace): string {
  return JSON.stringify({
    tenant_id: target?.tenant ?? null,
    sensor_id: target?.sensor ?? null,
    ts: target?.ts ?? null,
    epoch: target?.number?.epoch ?? null,
    seq: target?.number?.seq ?? null,
    fate,
    steps: ordered(steps).map(({ step: { step, where, timeMs, what }, afterMs }) => ({
      ...{ step, found: where !== null, where, time_ms: timeMs, after_ms: afterMs, what },
    })),
    notes,
  })
}
