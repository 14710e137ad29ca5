// What the system does for a process that was killed: it closes its files, as they are, and no code of the process runs.
import { closeSync, existsSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** Closes every file open below a folder. If the system does not say which files are open, they stay open. */
export function closeFilesBelow(dir: string): void {
  const descriptors = '/proc/self/fd'
  if (!existsSync(descriptors)) return
  for (const fd of readdirSync(descriptors)) if (targetOf(join(descriptors, fd)).startsWith(dir)) closeSync(Number(fd))
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link)
  } catch {
    return ''
  }
}
