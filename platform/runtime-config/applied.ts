// Who has applied a version of the configuration and who has not yet, among the members that apply it and are there:
// nodes and the processes of stream-jobs that were heard of within the heartbeat time-out.
import type { Clock } from '../clock.ts'
import type { ApplyingMember } from '../membership/cluster-state.ts'

export interface Applied {
  readonly applied: readonly ApplyingMember[]
  readonly pending: readonly ApplyingMember[]
}

/** Between two looks while somebody waits, ms; each goes through all members, who may be thousands. */
const POLL_MS = 200

export const appliedBy = (members: readonly ApplyingMember[], version: number): Applied => ({
  applied: members.filter((member) => member.version >= version),
  pending: members.filter((member) => member.version < version),
})

/** Waits until all that are there have applied the version, or the time is over, or the signal fires. */
export async function untilApplied(
  members: () => readonly ApplyingMember[],
  version: number,
  timeoutMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<Applied> {
  for (const deadline = clock.mono() + timeoutMs; ;) {
    const now = appliedBy(members(), version)
    if (now.pending.length === 0 || clock.mono() >= deadline || signal.aborted) return now
    await clock.sleep(POLL_MS, signal).catch(() => undefined)
  }
}
