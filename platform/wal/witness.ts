// Whether a log is still what it was when it was last written. Numbers that a log gave out and then forgot would be given
// to other readings, which downstream are duplicates and vanish; so a log that may be behind what was sent takes a new
// epoch. Its own contents cannot tell: a folder restored from a copy is sound in itself.
//
// The file `witness` therefore attests, after every write, which file the last segment is (device, inode), how long it
// is, and its change time (ctime), which no program can set and every copy, restore or truncation moves. Why no set of
// older files passes: a segment that was touched has a change time that no witness ever attested; one that was not
// touched has only the witness written last, unless it is a closed segment, and a closed segment ends with a mark that
// was never attested. A process killed between a write and its attestation leaves a segment that is longer than attested:
// that is taken for what it is only if the witness itself is the one written last, whose own change time is the time that
// it says. A boot of the machine is another reason for doubt: then contents may not have reached the disk,
// and the whole disk may be an older one. What it cannot see: a file system that is rolled back under a running machine
// with devices, inodes and change times as they were.
import { crc32c } from '@node-rs/crc32'
import { closeSync, fstatSync, openSync, readFileSync, type Stats, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { LastSegment } from './reader.ts'

const FILE = 'witness'
const VERSION = 1
/** After checksum and version: base index, bytes, device, inode, change time, time of writing; then the boot's identity. */
const BOOT_AT = 8 + 6 * 8
/** Between taking the time and writing it a busy machine may do other things; nobody restores a copy so soon after it was made. */
const WRITTEN_WITHIN_MS = 100
const BOOT_BYTES_MAX = 64

/** The last segment as it is known. */
export interface Attested {
  readonly baseIndex: number
  readonly bytes: number
}

export class Witness {
  readonly #fd: number
  readonly #bytes: Buffer

  /** @param boot identity of the machine's boot */
  constructor(dir: string, boot: string) {
    this.#fd = openSync(join(dir, FILE), 'w', 0o600)
    this.#bytes = Buffer.alloc(BOOT_AT + BOOT_BYTES_MAX)
    this.#bytes.write(boot, BOOT_AT)
    this.#bytes[4] = VERSION
  }

  /** To be called after every write to the segment that is open as `fd`, and before anything of it is sent. */
  attest(fd: number, { baseIndex, bytes }: Attested): void {
    const { dev, ino, ctimeMs } = fstatSync(fd)
    for (const [i, value] of [baseIndex, bytes, dev, ino, ctimeMs, Date.now()].entries())
      this.#bytes.writeDoubleLE(value, 8 + 8 * i)
    this.#bytes.writeUInt32LE(crc32c(this.#bytes.subarray(4)), 0)
    writeSync(this.#fd, this.#bytes, 0, this.#bytes.length, 0)
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** A log as it is found when it is opened. */
export interface Found {
  readonly dir: string
  /** Identity of the machine's boot. */
  readonly boot: string
  readonly last: LastSegment | null
  /** Index of the first reading that is kept. */
  readonly first: number
  /** The acknowledged index as its file has it. */
  readonly acknowledged: number
}

/** Why the log may be behind what was sent, as a sentence; null when it is what was attested last. */
export function doubtOf(found: Found, machineWentDown: boolean): string | null {
  const { last, first, acknowledged } = found
  if (last === null)
    return acknowledged > 0 ? `its segments are missing; ${acknowledged} readings had been acknowledged` : null
  const end = last.header.baseIndex + last.scan.count
  if (acknowledged > end) return `it ends after ${end} readings; ${acknowledged} had been acknowledged`
  if (acknowledged < first)
    return `readings ${acknowledged} to ${first - 1} are missing from it and had not been acknowledged`
  if (machineWentDown) return 'the machine went down while it was in use'
  return contradiction(found, last)
}

function contradiction({ dir, boot }: Found, { file, header }: LastSegment): string | null {
  const said = readWitness(dir)
  if (said === null) return 'the file that attests its end is missing or damaged'
  if (said.boot !== boot) return 'the machine was started again, or it is another machine'
  const { baseIndex } = header
  const { size, dev, ino, ctimeMs } = statSync(file)
  if (said.baseIndex > baseIndex) return `its last segment is missing; it began at reading ${said.baseIndex}`
  if (said.baseIndex < baseIndex)
    return said.isLatest ? null : 'the file that attests its end is older than its last segment'
  if (size > said.bytes && said.isLatest && said.dev === dev && said.ino === ino) return null
  if (size !== said.bytes) return `its last segment has ${size} bytes; ${said.bytes} are attested`
  return said.dev === dev && said.ino === ino && said.ctimeMs === ctimeMs
    ? null
    : 'its last segment was replaced or changed by something else, for instance restored from a copy'
}

interface Said extends Attested, Pick<Stats, 'dev' | 'ino' | 'ctimeMs'> {
  readonly boot: string
  /** The file is as it was written: no older copy of itself. */
  readonly isLatest: boolean
}

function readWitness(dir: string): Said | null {
  let bytes: Buffer
  let changedAt: number
  try {
    bytes = readFileSync(join(dir, FILE))
    changedAt = statSync(join(dir, FILE)).ctimeMs
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  if (bytes.length !== BOOT_AT + BOOT_BYTES_MAX || bytes[4] !== VERSION) return null
  if (crc32c(bytes.subarray(4)) !== bytes.readUInt32LE(0)) return null
  const [baseIndex, size, dev, ino, ctimeMs, writtenAt] = [0, 1, 2, 3, 4, 5].map((i) => bytes.readDoubleLE(8 + 8 * i))
  const boot = bytes.toString('utf8', BOOT_AT).replace(/\0+$/, '')
  const isLatest = Math.abs(changedAt - writtenAt) <= WRITTEN_WITHIN_MS
  return { baseIndex, bytes: size, dev, ino, ctimeMs, boot, isLatest }
}
