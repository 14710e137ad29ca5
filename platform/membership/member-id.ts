// The name of a process among the members of the cluster. By default it is made of room, host and process, so that two
// processes of a room never share one; a restart is then a new member, which is what a view should show.
import { hostname } from 'node:os'
import type { Config } from '../config.ts'

/** As platform/config.ts bounds MEMBER_ID. */
const LENGTH_MAX = 100

/**
 * MEMBER_ID, or `room@host-pid` made to fit what MEMBER_ID may be.
 * @param room as in the heartbeat's kind: stream-jobs, sinks…
 */
export function memberIdOf(config: Pick<Config, 'MEMBER_ID'>, room: string): string {
  if (config.MEMBER_ID !== undefined) return config.MEMBER_ID
  // The process id tells processes of a host apart, so it is the host that is cut.
  const end = `-${process.pid}`
  return `${`${room}@${hostname()}`.replaceAll(/[^\w.@-]/g, '_').slice(0, LENGTH_MAX - end.length)}${end}`
}
