// The version of the core: what its answers depend on besides its input and settings. It is stored with every
// committed offset, because only a core of the same version arrives at the same state when it replays records.
import { type Metric, METRICS } from '../../../schemas/metrics.ts'

/** Incremented whenever the core's outputs for the same records and settings change. */
export const RULES = 2

/**
 * The number of the rules and a hash of the metrics' names and bounds. Neither the order of the metrics nor their units
 * and descriptions change an answer, so they do not count.
 */
export function coreVersion(metrics: readonly Pick<Metric, 'name' | 'min' | 'max'>[] = METRICS, rules = RULES): string {
  const texts = metrics.map(({ name, min, max }) => `${name} ${min} ${max}`).sort()
  return `${rules}-${fnv1a(texts.join('\n')).toString(16).padStart(8, '0')}`
}

/** G. Fowler, L. C. Noll, K.-P. Vo: FNV-1a with 32 bits, over UTF-16 code units. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
