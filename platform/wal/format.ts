// The bytes of a write-ahead log. A log is a row of append-only segments; each begins with a header that carries all
// that a restart needs to know of the segments before it (the lanes: per sensor and epoch, how many readings were
// accepted and the last seq), so deleting an acknowledged segment never loses a sensor's place.
//
// An entry is [crc32c u32 | length u32 | payload], little-endian, the checksum covering length and payload. A damaged
// entry is a *torn tail* unless a sync mark after it says that its bytes had been forced to disk: then it is
// *corrupt*, and nothing after it may be dropped silently. Readings are numbered densely; marks have no number.
import { crc32c } from '@node-rs/crc32'
import { PlumblineError } from '../errors.ts'

export type WalErrorCode =
  'WAL_BROKEN' | 'WAL_BUSY' | 'WAL_CORRUPT' | 'WAL_DISK' | 'WAL_HEADER' | 'WAL_LOCKED' | 'WAL_SENSORS' | 'WAL_VERSION'

/** The log on disk cannot be used as asked; the message names the file. */
export class WalError extends PlumblineError<WalErrorCode> {}

export const ENTRY_HEADER_BYTES = 8
/** Kinds of payloads: a reading numbered by this log, one numbered by its source, a sync mark. */
export const OWN = 1
export const FOREIGN = 2
export const MARK = 3
/** Payload bytes in front of the key: kind, ts, key length; and, numbered by its source, epoch and seq. */
export const OWN_PREFIX_BYTES = 11
export const FOREIGN_PREFIX_BYTES = 27
const MARK_PAYLOAD_BYTES = 9
const MARK_BYTES = ENTRY_HEADER_BYTES + MARK_PAYLOAD_BYTES
/** Beyond a record of the largest size and its key; a length above it is damage. */
const MAX_PAYLOAD_BYTES = 2 * 1024 * 1024

const MAGIC = 'PLWAL'
const VERSION = 1
const FIXED_HEADER_BYTES = 40
const LANE_FIXED_BYTES = 27

/** How far one sensor has come in one epoch. */
export interface LaneRecord {
  /** Record key, tenant/sensor. */
  readonly key: string
  readonly epoch: number
  /** Numbered by this log; otherwise by its source. */
  readonly own: boolean
  /** Readings accepted. */
  readonly count: number
  /** Greatest seq accepted. */
  readonly lastSeq: number
}

export interface SegmentHeader {
  readonly nodeId: string
  readonly epoch: number
  /** Index of the segment's first reading. */
  readonly baseIndex: number
  /** Greatest event time of a reading numbered by this log before this segment, ms; 0 where there is none. */
  readonly lastTs: number
  readonly lanes: Iterable<LaneRecord>
}

export interface ParsedHeader extends SegmentHeader {
  readonly lanes: readonly LaneRecord[]
  /** Where the entries begin. */
  readonly end: number
}

/** Bytes that a lane takes in a segment's header. */
export const laneBytes = (key: string): number => LANE_FIXED_BYTES + Buffer.byteLength(key)

/** Base indexes are padded so that the names sort as the numbers do. */
export const segmentName = (baseIndex: number): string => `${String(baseIndex).padStart(16, '0')}.wal`
export const SEGMENT_PATTERN = /^(\d{16})\.wal$/

export function encodeHeader({ nodeId, epoch, baseIndex, lastTs, lanes }: SegmentHeader): Buffer {
  const node = Buffer.from(nodeId)
  const all = [...lanes]
  const bytes = Buffer.alloc(
    FIXED_HEADER_BYTES + 2 + node.length + 4 + all.reduce((sum, { key }) => sum + laneBytes(key), 0),
  )
  bytes.write(MAGIC, 0, 'latin1')
  bytes[5] = VERSION
  bytes.writeUInt32LE(bytes.length, 8)
  bytes.writeDoubleLE(epoch, 16)
  bytes.writeDoubleLE(baseIndex, 24)
  bytes.writeDoubleLE(lastTs, 32)
  let at = bytes.writeUInt16LE(node.length, FIXED_HEADER_BYTES)
  at += node.copy(bytes, at)
  at = bytes.writeUInt32LE(all.length, at)
  for (const lane of all) {
    at = bytes.writeUInt16LE(Buffer.byteLength(lane.key), at)
    at += bytes.write(lane.key, at)
    at = bytes.writeUInt8(lane.own ? 1 : 0, at)
    at = bytes.writeDoubleLE(lane.epoch, at)
    at = bytes.writeDoubleLE(lane.count, at)
    at = bytes.writeDoubleLE(lane.lastSeq, at)
  }
  bytes.writeUInt32LE(crc32c(bytes.subarray(16)), 12)
  return bytes
}

/**
 * @param bytes the segment from its beginning
 * @param file named in the error
 * @throws WalError WAL_HEADER
 */
export function decodeHeader(bytes: Buffer, file: string): ParsedHeader {
  const length = bytes.length >= FIXED_HEADER_BYTES + 6 ? bytes.readUInt32LE(8) : 0
  const known = length > 0 && bytes.toString('latin1', 0, 5) === MAGIC
  if (known && bytes[5] !== VERSION)
    throw new WalError('WAL_VERSION', `${file} has version ${bytes[5]}; this program reads ${VERSION}`)
  if (!known || length > bytes.length || crc32c(bytes.subarray(16, length)) !== bytes.readUInt32LE(12))
    throw new WalError('WAL_HEADER', `${file}: the header of the segment is damaged`)
  const nodeLength = bytes.readUInt16LE(FIXED_HEADER_BYTES)
  let at = FIXED_HEADER_BYTES + 2 + nodeLength
  const nodeId = bytes.toString('utf8', at - nodeLength, at)
  const lanes: LaneRecord[] = []
  const count = bytes.readUInt32LE(at)
  at += 4
  for (let i = 0; i < count; i += 1) {
    const keyLength = bytes.readUInt16LE(at)
    const key = bytes.toString('utf8', at + 2, at + 2 + keyLength)
    at += 2 + keyLength
    lanes.push({
      key,
      own: bytes[at] === 1,
      epoch: bytes.readDoubleLE(at + 1),
      count: bytes.readDoubleLE(at + 9),
      lastSeq: bytes.readDoubleLE(at + 17),
    })
    at += 25
  }
  return {
    nodeId,
    epoch: bytes.readDoubleLE(16),
    baseIndex: bytes.readDoubleLE(24),
    lastTs: bytes.readDoubleLE(32),
    lanes,
    end: length,
  }
}

/** Fills in length and checksum of the entry whose payload ends at `end`. */
export function sealEntry(bytes: Buffer, at: number, end: number): void {
  bytes.writeUInt32LE(end - at - ENTRY_HEADER_BYTES, at + 4)
  bytes.writeUInt32LE(crc32c(bytes.subarray(at + 4, end)), at)
}

/** An entry saying that all bytes of this segment below `syncedBytes` have been forced to disk. */
export function encodeMark(syncedBytes: number): Buffer {
  const bytes = Buffer.alloc(MARK_BYTES)
  bytes[ENTRY_HEADER_BYTES] = MARK
  bytes.writeDoubleLE(syncedBytes, ENTRY_HEADER_BYTES + 1)
  sealEntry(bytes, 0, MARK_BYTES)
  return bytes
}

/** End of the entry at `at`, or -1 when it is damaged or not complete below `limit`. */
export function entryEnd(bytes: Buffer, at: number, limit: number): number {
  if (at + ENTRY_HEADER_BYTES > limit) return -1
  const length = bytes.readUInt32LE(at + 4)
  const end = at + ENTRY_HEADER_BYTES + length
  if (length < MARK_PAYLOAD_BYTES || length > MAX_PAYLOAD_BYTES || end > limit) return -1
  return crc32c(bytes.subarray(at + 4, end)) === bytes.readUInt32LE(at) ? end : -1
}

export const entryKind = (bytes: Buffer, at: number): number => bytes[at + ENTRY_HEADER_BYTES]
const prefixBytes = (bytes: Buffer, at: number): number =>
  entryKind(bytes, at) === OWN ? OWN_PREFIX_BYTES : FOREIGN_PREFIX_BYTES
export const entryTs = (bytes: Buffer, at: number): number => bytes.readDoubleLE(at + ENTRY_HEADER_BYTES + 1)
export const keyAt = (bytes: Buffer, at: number): number => at + ENTRY_HEADER_BYTES + prefixBytes(bytes, at)
export const keyLength = (bytes: Buffer, at: number): number => bytes.readUInt16LE(keyAt(bytes, at) - 2)
export const foreignEpoch = (bytes: Buffer, at: number): number => bytes.readDoubleLE(at + ENTRY_HEADER_BYTES + 9)
export const foreignSeq = (bytes: Buffer, at: number): number => bytes.readDoubleLE(at + ENTRY_HEADER_BYTES + 17)
/** End of an entry that is known to be sound. */
export const soundEntryEnd = (bytes: Buffer, at: number): number => at + ENTRY_HEADER_BYTES + bytes.readUInt32LE(at + 4)

export interface Scan {
  /** Readings found; marks are not counted. */
  readonly count: number
  /** End of the last sound entry. */
  readonly end: number
  /** What follows `end`: nothing, an unfinished write, or bytes that had been forced to disk and are damaged. */
  readonly tail: 'clean' | 'torn' | 'corrupt'
}

/**
 * Walks the entries of [from, bytes.length).
 * @param origin place of bytes[0] in its segment, for the marks
 * @param onReading called with the place of each reading
 */
export function scanEntries(bytes: Buffer, from: number, origin: number, onReading?: (at: number) => void): Scan {
  let at = from
  let count = 0
  while (at < bytes.length) {
    const end = entryEnd(bytes, at, bytes.length)
    if (end < 0) return { count, end: at, tail: markBehind(bytes, at + 1, origin + at) ? 'corrupt' : 'torn' }
    if (entryKind(bytes, at) !== MARK) {
      onReading?.(at)
      count += 1
    }
    at = end
  }
  return { count, end: at, tail: 'clean' }
}

/** Is there a sound mark at or after `from` that vouches for the byte at `place`? */
function markBehind(bytes: Buffer, from: number, place: number): boolean {
  for (let at = from; at + MARK_BYTES <= bytes.length; at += 1) {
    if (bytes[at + ENTRY_HEADER_BYTES] !== MARK || bytes.readUInt32LE(at + 4) !== MARK_PAYLOAD_BYTES) continue
    if (entryEnd(bytes, at, bytes.length) > 0 && bytes.readDoubleLE(at + ENTRY_HEADER_BYTES + 1) > place) return true
  }
  return false
}
