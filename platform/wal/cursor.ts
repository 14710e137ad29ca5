// Reading a log back, a run of checked entries at a time, with bounded memory: for readings that the ring no longer has.
import { join } from 'node:path'
import { scanEntries, segmentName, WalError } from './format.ts'
import type { Chunk } from './chunk.ts'
import { readRange, type Segment } from './segment.ts'

/** The position of a reader of the log. */
export interface WalCursor {
  /** Base index of the segment. */
  segment: number
  offset: number
  index: number
}

const READ_BYTES = 262_144
/** Longer than any entry. */
const MAX_READ_BYTES = 16 * READ_BYTES

/**
 * Entries from the cursor on, which must be before the segment's end; moves the cursor past them.
 * @throws WalError WAL_CORRUPT
 */
export function readChunk(dir: string, segment: Segment, cursor: WalCursor): Chunk {
  const file = join(dir, segmentName(segment.baseIndex))
  for (let wanted = READ_BYTES; ; wanted *= 4) {
    const length = Math.min(wanted, segment.bytes - cursor.offset)
    const bytes = readRange(file, cursor.offset, length)
    const { count, end } = scanEntries(bytes, 0, cursor.offset)
    if (end > 0) {
      const chunk = { bytes: bytes.subarray(0, end), at: 0, firstIndex: cursor.index, count }
      cursor.offset += end
      cursor.index += count
      return chunk
    }
    // An entry may be longer than what was read; where that cannot be, it is damage.
    if (cursor.offset + length === segment.bytes || wanted >= MAX_READ_BYTES)
      throw new WalError('WAL_CORRUPT', `${file}: the entry at ${cursor.offset}, reading ${cursor.index}, is damaged`)
  }
}
