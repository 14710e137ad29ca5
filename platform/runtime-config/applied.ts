// Who has applied a version of the configuration and who has not yet, among the members that apply it: nodes and the
// processes of stream-jobs that were heard of within the heartbeat time-out. A member that reports a version which the
// topic does not have has its settings from somewhere else, and has not applied ours, however great its number is.
import type { Clock } from '../clock.ts'
import type { ApplyingMember } from '../membership/cluster-state.ts'
import { pause } from '../retry.ts'

export interface Applied {
  readonly applied: readonly ApplyingMember[]
  /** `refused` says why, where that is known. */
  readonly pending: readonly ApplyingMember[]
}

/** Interval between checks while a client waits, ms; each goes through all members, which may be thousands. */
const POLL_MS = 200

/**
 * @param version that is to be applied
 * @param newest version of the topic `config` that was read and accepted
 */
export function appliedBy(members: readonly ApplyingMember[], version: number, newest: number): Applied {
  const known = Math.max(version, newest)
  const applied: ApplyingMember[] = []
  const pending: ApplyingMember[] = []
  for (const member of members) {
    if (member.version < version) pending.push(member)
    else if (member.version <= known) applied.push(member)
    else pending.push({ ...member, refused: unknownVersion(member.version, known) })
  }
  return { applied, pending }
}

const unknownVersion = (version: number, newest: number): string =>
  `it reports version ${version}, but the newest acceptable one in the topic config is ${newest}: its settings come from another writer`

/** Waits until all members have applied the version, or the time is over, or the signal fires. */
export async function untilApplied(
  current: () => { readonly members: readonly ApplyingMember[]; readonly newest: number },
  version: number,
  timeoutMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<Applied> {
  for (const deadline = clock.mono() + timeoutMs; ;) {
    const { members, newest } = current()
    const now = appliedBy(members, version, newest)
    if (now.pending.length === 0 || clock.mono() >= deadline || signal.aborted) return now
    await pause(POLL_MS, signal, clock)
  }
}
