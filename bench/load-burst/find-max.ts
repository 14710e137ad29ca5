// The highest steady rate that this machine sustains (EM-10's N): doubles until a rate is not sustained, then halves the
// interval. Every trial is a fresh pipeline; "sustained" is the pipeline benchmark's: what waits does not grow.
import { benchPipeline, type PipelineReport } from '../pipeline.ts'

/** Narrower would be finer than two trials of the same rate agree. */
const RESOLUTION = 1.1

/**
 * @param from a rate to begin with, readings/s
 * @param seconds of each trial
 * @returns the report of the highest rate that was sustained; null when not even the first one was
 */
export async function findMax(
  from: number,
  seconds: number,
  progress: (text: string) => void,
): Promise<PipelineReport | null> {
  let best: PipelineReport | null = null
  let failed = Infinity
  for (let rate = from; failed / (best?.offered_per_s ?? 0) > RESOLUTION;) {
    const report = await benchPipeline(rate, seconds, progress)
    const isHeld = report.sustained && report.stored_per_s >= rate * 0.95
    progress(`${rate.toLocaleString('en')}/s ${isHeld ? 'is sustained' : 'is not sustained'}`)
    if (isHeld) best = report
    else failed = rate
    if (best === null) return null
    rate = Math.round(failed === Infinity ? best.offered_per_s * 2 : (best.offered_per_s + failed) / 2)
  }
  return best
}
