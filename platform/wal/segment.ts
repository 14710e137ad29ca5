// Files of a write-ahead log: creating a segment so that it either is there with its whole header or not at all, and
// writing so that a write that fails half-way leaves no trace.
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { decodeHeader, encodeHeader, segmentName, type SegmentHeader, WalError } from './format.ts'

/** The header's own length is in its first bytes; see platform/wal/format.ts. */
const HEADER_LENGTH_END = 12

export interface Segment {
  readonly baseIndex: number
  /** Where its entries begin. */
  readonly headerBytes: number
  /** Bytes written. */
  bytes: number
}

/** Finds out about a closed segment by its header alone; its entries are checked when they are read. */
export function inspectSegment(dir: string, base: number): Segment {
  const file = join(dir, segmentName(base))
  const { size } = statSync(file)
  const length =
    size < HEADER_LENGTH_END ? 0 : readRange(file, 0, HEADER_LENGTH_END).readUInt32LE(HEADER_LENGTH_END - 4)
  const header = decodeHeader(readRange(file, 0, Math.min(size, length)), file)
  if (header.baseIndex !== base)
    throw new WalError('WAL_HEADER', `${file}: its header says reading ${header.baseIndex}`)
  return { baseIndex: base, headerBytes: header.end, bytes: size }
}

/** Creates a segment and opens it for appending. Header and name are on disk when this returns. */
export function createSegment(dir: string, header: SegmentHeader): { segment: Segment; fd: number } {
  const encoded = encodeHeader(header)
  const file = join(dir, segmentName(header.baseIndex))
  const fd = openSync(`${file}.tmp`, 'w', 0o600)
  writeAll(fd, encoded, 0)
  fdatasyncSync(fd)
  renameSync(`${file}.tmp`, file)
  syncFolder(dir)
  return { segment: { baseIndex: header.baseIndex, headerBytes: encoded.length, bytes: encoded.length }, fd }
}

/** Writes the whole of `bytes` at `position`. */
export function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, position + done)
}

/**
 * Appends or leaves the file as it was.
 * @param attest what belongs to the write: when it fails, the write is undone
 * @throws WalError WAL_DISK (retriable: space may be made), or WAL_BROKEN when the rest of a failed write stays
 */
export function appendOrRestore(fd: number, bytes: Buffer, position: number, dir: string, attest?: () => void): void {
  try {
    writeAll(fd, bytes, position)
    attest?.()
  } catch (cause) {
    try {
      ftruncateSync(fd, position)
    } catch {
      throw new WalError('WAL_BROKEN', `${dir}: a write failed and could not be undone`, { cause })
    }
    throw new WalError('WAL_DISK', `${dir}: the disk refused ${bytes.length} bytes`, { cause, retriable: true })
  }
}

/** A new name in a folder survives a power cut only when the folder is synced. */
function syncFolder(dir: string): void {
  const fd = openSync(dir, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** @throws WalError WAL_CORRUPT when the file is shorter */
export function readRange(file: string, offset: number, length: number): Buffer {
  const fd = openSync(file, 'r')
  try {
    const bytes = Buffer.allocUnsafe(length)
    let done = 0
    while (done < length) {
      const got = readSync(fd, bytes, done, length - done, offset + done)
      if (got === 0)
        throw new WalError('WAL_CORRUPT', `${file} ends at ${offset + done}; ${offset + length} bytes had been written`)
      done += got
    }
    return bytes
  } finally {
    closeSync(fd)
  }
}
