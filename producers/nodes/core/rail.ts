// The simulated supply rail of a node (MI-4): now and then it is below its limit for a few seconds, so that the
// diagnostics have something to show.
import { uniformAt } from './hash.ts'

const SPELL_MS = 4_000
/** Share of the spells in which the rail is low. */
const LOW_SHARE = 0.03

export function railIsLow(seed: number, elapsedMs: number): boolean {
  return uniformAt(seed ^ 0x7a11, Math.floor(elapsedMs / SPELL_MS)) < LOW_SHARE
}
