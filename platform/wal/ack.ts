// The acknowledged position of a log: two slots in one small file, written in turn, each with its own checksum. A
// write that is cut short spoils one slot and leaves the other. Written on every acknowledgement, and forced to disk only
// when the log is closed: losing the latest only means that readings are sent once more.
import { crc32c } from '@node-rs/crc32'
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const FILE = 'ack'
const SLOT_BYTES = 16
const FILE_BYTES = 2 * SLOT_BYTES

/** The bytes of a slot that holds `index`. */
function encodeSlot(index: number): Buffer {
  const bytes = Buffer.alloc(SLOT_BYTES)
  bytes.writeDoubleLE(index, 0)
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 8)), 8)
  return bytes
}

/** The greatest index in a sound slot; 0 when there is none. */
export function decodeAck(bytes: Buffer): number {
  let greatest = 0
  for (let at = 0; at + SLOT_BYTES <= bytes.length; at += SLOT_BYTES) {
    if (crc32c(bytes.subarray(at, at + 8)) === bytes.readUInt32LE(at + 8))
      greatest = Math.max(greatest, bytes.readDoubleLE(at))
  }
  return greatest
}

/** The acknowledged index as the file has it; 0 without one. */
export function readAck(dir: string): number {
  try {
    return decodeAck(readFileSync(join(dir, FILE)).subarray(0, FILE_BYTES))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
    throw error
  }
}

export class AckFile {
  readonly #fd: number
  /** Counts the writes: the slots take turns. */
  #turn = 0
  #index: number

  /**
   * @param first index of the first reading that is kept: everything below it was acknowledged
   * @param end index after the last reading of the log
   */
  constructor(dir: string, first: number, end: number) {
    const file = join(dir, FILE)
    const stored = readAck(dir)
    this.#index = Math.min(Math.max(stored, first), end)
    this.#fd = openSync(file, existsSync(file) ? 'r+' : 'w', 0o600)
    // The log has lost readings that had been acknowledged. Their indexes will be given to others, so the file must not
    // keep saying that these are acknowledged: both slots are set back.
    if (stored > end) for (let slot = 0; slot < 2; slot += 1) this.write(end)
  }

  get index(): number {
    return this.#index
  }

  write(index: number): void {
    const at = (this.#turn % 2) * SLOT_BYTES
    this.#turn += 1
    this.#index = index
    writeSync(this.#fd, encodeSlot(index), 0, SLOT_BYTES, at)
  }

  get fd(): number {
    return this.#fd
  }

  close(): void {
    closeSync(this.#fd)
  }
}
