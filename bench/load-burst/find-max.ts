// The highest steady rate that this machine sustains (EM-10's N): doubles until a rate is not sustained, then halves the
// interval. Every trial is a fresh pipeline; "sustained" is the pipeline benchmark's: what waits does not grow.
import { benchPipeline, type PipelineReport } from '../pipeline.ts'

/** Anything narrower is finer than the variance between two trials at the same rate. */
const RESOLUTION = 1.1

/**
 * @param from initial rate, readings/s
 * @param seconds of each trial
 * @returns the report of the highest sustained rate; null if not even the first was sustained
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
