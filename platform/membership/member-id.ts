// The name of a process among the members of the cluster. By default it is made of service, host and process id, so that
// two processes of a service never share one; a restart is then a new member, which is what a view should show.
import { hostname } from 'node:os'
import type { Config } from '../config.ts'

/** As platform/config.ts bounds MEMBER_ID. */
const LENGTH_MAX = 100

/**
 * MEMBER_ID, or `service@host-pid`, cut and cleaned to what MEMBER_ID may be.
 * @param service as in the heartbeat's kind: stream-jobs, sinks…
 */
export function memberIdOf(config: Pick<Config, 'MEMBER_ID'>, service: string): string {
  if (config.MEMBER_ID !== undefined) return config.MEMBER_ID
  // The process id distinguishes processes of one host, so the host's name is what is cut.
  const end = `-${process.pid}`
  return `${`${service}@${hostname()}`.replaceAll(/[^\w.@-]/g, '_').slice(0, LENGTH_MAX - end.length)}${end}`
}
