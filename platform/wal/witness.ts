// Whether a log is still what it was when it was last written. Numbers that a log gave out and then forgot would be given
// to other readings, which downstream are duplicates and vanish; so a log that may be behind what was sent takes a new
// epoch. Its own contents cannot tell: a folder restored from a copy is sound in itself.
//
// Two small files therefore attest in turn, after every write and before anything of it is sent, which file the last
// segment is (device, inode), how long it is, and its change time (ctime), which no program can set and every copy,
// restore or truncation moves. Each also attests the change time of the other one: so an older copy of either or of both
// never passes for what was written last. Why no set of older files passes: a segment that was touched has a change time
// that was never attested; one that was not touched has only the attestation written last, unless it is a closed
// segment, and a closed segment ends with a mark that was never attested. A process killed between a write and its
// attestation leaves a segment that is longer than attested, below an attestation that is the last: nothing of it was
// sent.
//
// A power cut may take what was written and not yet forced to disk. So before the first reading of a process is written,
// one attestation that says *in use* is forced to disk: it covers everything that may be sent, as a reserved block of
// numbers without an end, and costs nothing per reading. A clean end forces the log to disk and then says *settled*: such
// a log outlives a restart of the machine in its epoch. What this cannot see: a file system that is rolled back as a
// whole, with inodes and change times as they were, to a moment when the log was settled, or under a running machine.
import { crc32c } from '@node-rs/crc32'
import { closeSync, fdatasyncSync, fstatSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { WalError } from './format.ts'
import type { LastSegment } from './reader.ts'

const FILES = ['witness', 'witness.2'] as const
const VERSION = 2
const SETTLED_AT = 5
/** After checksum, version and state: the fields of `Attestation`, as doubles; then the boot's identity. */
const FIELDS_AT = 8
const FIELDS = 7
const BOOT_AT = FIELDS_AT + FIELDS * 8
const BOOT_BYTES_MAX = 64
const BYTES = BOOT_AT + BOOT_BYTES_MAX

/** The last segment as it is known. */
export interface Attested {
  readonly baseIndex: number
  readonly bytes: number
}

interface Attestation extends Attested {
  readonly dev: number
  readonly ino: number
  readonly ctimeMs: number
  /** Counts the attestations; the files take turns. */
  readonly turn: number
  /** Change time of the other file. */
  readonly otherCtimeMs: number
  readonly boot: string
  /** Nothing may have been sent of what is not in the log as attested, and all of that was forced to disk. */
  readonly settled: boolean
}

export class Witness {
  readonly #fds: readonly [number, number]
  readonly #dir: string
  readonly #bytes: Buffer
  #turn: number
  #settled: boolean

  /**
   * @param boot identity of the machine's boot
   * @param settled whether nothing may have been sent that is not on disk: the log is new, has a new epoch, or was settled
   */
  constructor(dir: string, boot: string, settled: boolean) {
    this.#dir = dir
    this.#settled = settled
    this.#turn = Math.max(...FILES.map((name) => read(dir, name)?.turn ?? 0))
    const [first, second] = FILES.map((name) => openSync(join(dir, name), read(dir, name) === null ? 'w' : 'r+', 0o600))
    this.#fds = [first, second]
    this.#bytes = Buffer.alloc(BYTES)
    this.#bytes.write(boot, BOOT_AT)
    this.#bytes[4] = VERSION
  }

  /**
   * To be called before a write to the segment: from now on what is sent may be ahead of what is on disk.
   * @throws WalError WAL_DISK
   */
  beginUse(fd: number, segment: Attested): void {
    if (!this.#settled) return
    try {
      this.#settled = false
      fdatasyncSync(this.#write(fd, segment))
    } catch (cause) {
      this.#settled = true
      throw new WalError('WAL_DISK', `${this.#dir}: the disk refused to mark the log as in use`, {
        cause,
        retriable: true,
      })
    }
  }

  /** To be called after every write to the segment that is open as `fd`, and before anything of it is sent. */
  attest(fd: number, segment: Attested): void {
    this.#write(fd, segment)
  }

  /** The same when the log is opened: both files are made sound. */
  begin(fd: number, segment: Attested): void {
    this.#write(fd, segment)
    this.#write(fd, segment)
  }

  /** The log is complete, and nothing more is written to it. @param force forces a file to disk, its change time included */
  async settle(fd: number, segment: Attested, force: (fd: number) => Promise<void>): Promise<void> {
    if (this.#settled) return
    await force(fd)
    this.#settled = true
    this.#write(fd, segment)
    await Promise.all(this.#fds.map((own) => force(own)))
  }

  close(): void {
    for (const fd of this.#fds) closeSync(fd)
  }

  /** @returns the descriptor written to */
  #write(fd: number, { baseIndex, bytes }: Attested): number {
    const turn = this.#turn + 1
    const { dev, ino, ctimeMs } = fstatSync(fd)
    const other = fstatSync(this.#fds[(turn + 1) % 2])
    const buffer = this.#bytes
    buffer[SETTLED_AT] = this.#settled ? 1 : 0
    for (const [i, value] of [baseIndex, bytes, dev, ino, ctimeMs, turn, other.ctimeMs].entries())
      buffer.writeDoubleLE(value, FIELDS_AT + 8 * i)
    buffer.writeUInt32LE(crc32c(buffer.subarray(4)), 0)
    const own = this.#fds[turn % 2]
    writeSync(own, buffer, 0, buffer.length, 0)
    this.#turn = turn
    return own
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

/** Identity of the boot in which the log was last written; null where that is not known. */
export const readBoot = (dir: string): string | null => readLatest(dir)?.boot ?? null

/** Whether the log was forced to disk as a whole when it was last closed. */
export const wasSettled = (dir: string): boolean => readLatest(dir)?.settled === true

/** Why the log may be behind what was sent, as a sentence; null when it is what was attested last. */
export function doubtOf(found: Found): string | null {
  const { last, first, acknowledged } = found
  if (last === null)
    return acknowledged > 0 || read(found.dir, FILES[0]) !== null
      ? `its segments are missing; ${acknowledged} readings had been acknowledged`
      : null
  const end = last.header.baseIndex + last.scan.count
  if (acknowledged > end) return `it ends after ${end} readings; ${acknowledged} had been acknowledged`
  if (acknowledged < first)
    return `readings ${acknowledged} to ${first - 1} are missing from it and had not been acknowledged`
  return contradiction(found, last)
}

function contradiction({ dir, boot }: Found, { file, header }: LastSegment): string | null {
  const said = readLatest(dir)
  if (said === null) return 'a file that attests its end is missing or damaged, or of an earlier version'
  const { settled, isLast } = said
  const isSameBoot = said.boot === boot
  if (!isSameBoot && !settled) return 'the machine went down while it was in use'
  const { baseIndex } = header
  const { size, dev, ino, ctimeMs } = statSync(file)
  // Devices may be numbered otherwise after a restart of the machine.
  const isSameFile = said.ino === ino && (said.dev === dev || !isSameBoot)
  /** The process may have been killed after a write and before its attestation. */
  const mayBeUnattested = isLast && !settled && isSameBoot
  if (said.baseIndex > baseIndex) return `its last segment is missing; it began at reading ${said.baseIndex}`
  if (said.baseIndex < baseIndex)
    return mayBeUnattested ? null : 'the file that attests its end is older than its last segment'
  if (size > said.bytes && mayBeUnattested && isSameFile) return null
  if (size !== said.bytes) return `its last segment has ${size} bytes; ${said.bytes} are attested`
  return isSameFile && said.ctimeMs === ctimeMs
    ? null
    : 'its last segment was replaced or changed by something else, for instance restored from a copy'
}

interface Said extends Attestation {
  /** It is the one that was written last: neither file was touched since. */
  readonly isLast: boolean
}

/** The later of the two attestations; null when either cannot be read. */
function readLatest(dir: string): Said | null {
  const [first, second] = FILES.map((name) => read(dir, name))
  if (first === null || second === null) return null
  const [latest, other] = first.turn > second.turn ? [first, second] : [second, first]
  const isLast = latest.turn === other.turn + 1 && latest.otherCtimeMs === other.changedAtMs
  return { ...latest, isLast }
}

/** What a file attests; null without one that is sound. */
function read(dir: string, name: string): (Attestation & { readonly changedAtMs: number }) | null {
  let bytes: Buffer
  let changedAtMs: number
  try {
    bytes = readFileSync(join(dir, name))
    changedAtMs = statSync(join(dir, name)).ctimeMs
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  if (bytes.length !== BYTES || bytes[4] !== VERSION) return null
  if (crc32c(bytes.subarray(4)) !== bytes.readUInt32LE(0)) return null
  const field = (i: number): number => bytes.readDoubleLE(FIELDS_AT + 8 * i)
  return {
    baseIndex: field(0),
    bytes: field(1),
    dev: field(2),
    ino: field(3),
    ctimeMs: field(4),
    turn: field(5),
    otherCtimeMs: field(6),
    boot: bytes.toString('utf8', BOOT_AT).replace(/\0+$/, ''),
    settled: bytes[SETTLED_AT] === 1,
    changedAtMs,
  }
}
