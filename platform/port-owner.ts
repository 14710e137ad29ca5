// Who listens on a port of this machine, for messages: "in use" alone sends an operator to search. Linux tells by /proc; where
// it does not, elsewhere or for processes of other users, nobody is named.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** State of a listening socket in /proc/net/tcp. */
const LISTEN = '0A'
const COMMAND_CHARS_MAX = 60

export interface PortOwner {
  readonly pid: number
  /** Its command line, shortened. */
  readonly command: string
}

/** Null: nobody that can be seen. */
export function portOwner(port: number): PortOwner | null {
  const sockets = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => listenersOn(port, file)))
  if (sockets.size === 0) return null
  for (const pid of namesIn('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    for (const fd of namesIn(`/proc/${pid}/fd`)) if (sockets.has(target(`/proc/${pid}/fd/${fd}`))) return owner(pid)
  }
  return null
}

/** "process 4711 (node server.js)", or what can be said without knowing it. */
export function ownerText(found: PortOwner | null): string {
  return found === null ? 'what listens there' : `process ${found.pid} (${found.command})`
}

/** Links of sockets as /proc/<pid>/fd shows them. */
function listenersOn(port: number, file: string): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  return read(file)
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
      return state === LISTEN && local.endsWith(`:${wanted}`) ? [`socket:[${inode}]`] : []
    })
}

function owner(pid: string): PortOwner {
  const words = read(`/proc/${pid}/cmdline`)
    .split('\0')
    .filter((word) => word !== '')
  const name = words[0]?.split('/').at(-1) ?? read(`/proc/${pid}/comm`).trim()
  const command = [name, ...words.slice(1)].join(' ').replaceAll(/[^\x20-\x7e]/g, '?')
  const shown = command.length > COMMAND_CHARS_MAX ? `${command.slice(0, COMMAND_CHARS_MAX - 1)}…` : command
  return { pid: Number(pid), command: shown }
}

/** What has ended meanwhile, or may not be seen, is empty. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function target(link: string): string {
  try {
    return readlinkSync(link)
  } catch {
    return ''
  }
}
