// What is sampled once a second during a load-burst run, and what is concluded from it.
import type { PipelineView } from '../../deploy/stack/core/pipeline.ts'
import type { Brownout } from './scenario.ts'

export interface Sample {
  /** After the fleet's start, s. */
  readonly atS: number
  readonly acceptedPerS: number
  readonly refinedPerS: number
  readonly storedPerS: number
  /** Readings that have their sequence. */
  readonly orderedPerS: number
  /** Records waiting in front of each stage; extents in front of the sequencer. */
  readonly waiting: {
    readonly producers: number
    readonly refine: number
    readonly sinks: number
    readonly sequencer: number
  }
  /** From sample to store over the last seconds, s; null: nothing was stored. */
  readonly latency: { readonly p50: number | null; readonly p99: number | null; readonly p999: number | null }
  /** 0 closed, 1 half-open, 2 open. */
  readonly breaker: number
  readonly retries: number
  readonly batchRows: number | null
  readonly rssMb: { readonly producers: number; readonly refine: number; readonly sinks: number }
}

export function sampleOf(view: PipelineView, atS: number): Sample {
  const [producers, refine, sinks] = view.stages
  const latency = view.latencies.find(({ name }) => name === 'sample to store')!
  const toMb = (bytes: number): number => Math.round(bytes / 1_048_576)
  return {
    atS,
    acceptedPerS: producers.inPerS,
    refinedPerS: refine.outPerS,
    storedPerS: sinks.outPerS,
    orderedPerS: view.order.perS,
    waiting: {
      producers: producers.lag,
      refine: refine.lag,
      sinks: sinks.lag,
      sequencer: view.order.waitingExtents,
    },
    latency: { p50: latency.p50, p99: latency.p99, p999: latency.p999 },
    breaker: view.store.breaker,
    retries: view.store.retries,
    batchRows: view.store.batchRows,
    rssMb: { producers: toMb(producers.rssBytes), refine: toMb(refine.rssBytes), sinks: toMb(sinks.rssBytes) },
  }
}

export interface Recovery extends Brownout {
  /** Peak number of records waiting for the store from its start until the sink had caught up. */
  readonly waitingMax: number
  /** From its end until at most one second's load was waiting; null: not within the run. */
  readonly recoveredAfterS: number | null
  readonly breakerOpened: boolean
}

/** @param samples in chronological order */
export function recoveryOf(brownout: Brownout, samples: readonly Sample[]): Recovery {
  const fromS = brownout.atMs / 1_000
  const endS = (brownout.atMs + brownout.lengthMs) / 1_000
  const behind = samples.findIndex(({ atS, waiting }) => atS >= fromS && waiting.sinks > 0)
  const level = samples.findIndex(
    ({ atS, waiting, acceptedPerS }, i) => i > behind && atS >= endS && waiting.sinks <= Math.max(1, acceptedPerS),
  )
  const during = samples.filter(({ atS }, i) => atS >= fromS && (level < 0 || i <= level))
  return {
    ...brownout,
    waitingMax: Math.max(0, ...during.map(({ waiting }) => waiting.sinks)),
    recoveredAfterS: level < 0 ? null : Math.max(0, samples[level].atS - endS),
    breakerOpened: during.some(({ breaker }) => breaker > 0),
  }
}
