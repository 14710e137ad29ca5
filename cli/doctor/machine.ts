// The part of the doctor's look that needs no network: folder, disk and ports.
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Instance } from '../../deploy/stack/instance.ts'
import type { Config } from '../../platform/config.ts'
import { isPortFree } from '../../platform/free-port.ts'
import { ownerText, portOwner } from '../../platform/port-owner.ts'
import { checkDisk, checkFolder, checkPorts, type Finding, type Folder, type PortUse } from './core/checks.ts'

const PORTS = ['REGISTRY_PORT', 'STREAM_JOBS_PORT', 'SINKS_PORT', 'QUERY_API_PORT', 'PRODUCERS_PORT'] as const

export async function machineFindings(config: Config, instance: Instance | null): Promise<Finding[]> {
  const { DATA_DIR: path } = config
  const disk = statfsSync(existing(path))
  const ports = instance === null ? await wantedPorts(config) : await usedPorts(instance)
  return [
    checkFolder(folderOf(path)),
    checkDisk(disk.bavail * disk.bsize, disk.blocks * disk.bsize, path),
    checkPorts(ports, instance !== null),
  ]
}

/** The nearest folder above that exists. */
function existing(path: string): string {
  let at = path
  while (!existsSync(at)) at = dirname(at)
  return at
}

function folderOf(path: string): Folder {
  const at = existing(path)
  const writable = mayWrite(at)
  if (at !== path) return { path, kind: statSync(at).isDirectory() ? 'missing' : 'other', writable, mode: null }
  const stat = statSync(path)
  return { path, kind: stat.isDirectory() ? 'folder' : 'other', writable, mode: stat.mode & 0o777 }
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Before a start: the ports that it would take. */
async function wantedPorts(config: Config): Promise<PortUse[]> {
  const broker = /^(?:127\.0\.0\.1|localhost):(\d+)$/.exec(config.KAFKA_BROKERS)
  const wanted: [string, number][] = PORTS.map((setting) => [setting, config[setting]])
  if (broker !== null) wanted.unshift(['KAFKA_BROKERS', Number(broker[1])])
  const uses: PortUse[] = []
  for (const [setting, port] of wanted)
    if (port !== 0) uses.push({ setting, port, ...((await isPortFree(port)) ? { use: 'free' } : takenBy(port)) })
  return uses
}

function takenBy(port: number): Pick<PortUse, 'use' | 'by'> {
  const owner = portOwner(port)
  return { use: 'other', ...(owner === null ? {} : { by: ownerText(owner) }) }
}

/** While it runs: the ports of its parts, which may have been chosen freely. */
async function usedPorts({ services }: Instance): Promise<PortUse[]> {
  const uses: PortUse[] = []
  for (const { name, url } of services) {
    const port = Number(new URL(url).port)
    uses.push({ setting: name, port, use: (await isPortFree(port)) ? 'free' : 'ours' })
  }
  return uses
}
