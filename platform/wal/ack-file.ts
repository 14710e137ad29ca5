// The acknowledged position of a log: two slots in one small file, written in turn, each with its own checksum. A
// write that is cut short spoils one slot and leaves the other; losing an acknowledgement only means sending again.
import { crc32c } from '@node-rs/crc32'

const SLOT_BYTES = 16
export const ACK_FILE_BYTES = 2 * SLOT_BYTES

/** The slot to write for `index`; `turn` counts the writes. Returns its bytes and its place in the file. */
export function encodeAck(index: number, turn: number): { bytes: Buffer; at: number } {
  const bytes = Buffer.alloc(SLOT_BYTES)
  bytes.writeDoubleLE(index, 0)
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 8)), 8)
  return { bytes, at: (turn % 2) * SLOT_BYTES }
}

/** The greatest index in a sound slot; 0 where there is none. */
export function decodeAck(bytes: Buffer): number {
  let greatest = 0
  for (let at = 0; at + SLOT_BYTES <= bytes.length; at += SLOT_BYTES) {
    if (crc32c(bytes.subarray(at, at + 8)) === bytes.readUInt32LE(at + 8))
      greatest = Math.max(greatest, bytes.readDoubleLE(at))
  }
  return greatest
}
