// Half of the CPU time of a broker's start goes into loading and verifying its classes. A class data archive of the
// JVM saves that: it is created once, by a throw-away start, and stored with the jars. A test run starts many brokers.
import { existsSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { withFileLock } from '../../platform/file-lock.ts'
import { freePorts } from '../../platform/free-port.ts'
import type { Progress } from './kafka-jars.ts'
import { launch } from './kafka-launch.ts'

/** Writing the archive takes some seconds after the broker has stopped. */
const DUMP_TIMEOUT_MS = 120_000

/** JVM flags that use the archive; none if this JVM cannot create one. */
export async function classArchiveFlags(libs: string, progress: Progress): Promise<string[]> {
  const archive = `${libs}.jsa`
  if (!existsSync(archive)) {
    await withFileLock(`${libs}.lock`, async () => {
      if (existsSync(archive)) return
      progress('preparing quick starts of Kafka (once)')
      await makeArchive(libs, archive)
    })
  }
  // A JVM of a different version ignores the archive; the logging switches silence its warning.
  return statSync(archive).size === 0
    ? []
    : [`-XX:SharedArchiveFile=${archive}`, '-Xlog:cds=off', '-Xlog:cds+dynamic=off']
}

async function makeArchive(libs: string, archive: string): Promise<void> {
  const folder = mkdtempSync(join(dirname(libs), 'partial-'))
  const made = join(folder, 'classes.jsa')
  try {
    const [port, controllerPort] = await freePorts(2)
    const jvmFlags = ['-Xmx512m', `-XX:ArchiveClassesAtExit=${made}`, '-Xlog:cds=off', '-Xlog:cds+dynamic=off']
    const broker = await launch({ libs, folder, port, controllerPort, jvmFlags, properties: {} })
    await broker.stop(DUMP_TIMEOUT_MS)
    // An empty file says that this JVM created none, so that it is not tried again.
    if (existsSync(made)) renameSync(made, archive)
    else writeFileSync(archive, '')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
