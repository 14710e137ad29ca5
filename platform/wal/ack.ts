// The open file of a log's acknowledged position. Written on every acknowledgement and never forced to disk: losing
// the latest only means that readings are sent once more.
import { closeSync, existsSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { encodeAck } from './ack-file.ts'
import { readAck } from './reader.ts'

export class AckFile {
  readonly #fd: number
  #turn = 0
  #index: number

  /**
   * @param first index of the first reading that is kept: what lies before it was acknowledged
   * @param end index behind the last reading of the log
   */
  constructor(dir: string, first: number, end: number) {
    const file = join(dir, 'ack')
    const stored = readAck(dir)
    this.#index = Math.min(Math.max(stored, first), end)
    this.#fd = openSync(file, existsSync(file) ? 'r+' : 'w')
    // A power cut took readings that had been acknowledged already. Their indexes will be given to others, so the file
    // must not go on saying that these are acknowledged: both slots are set back.
    if (stored > end) for (let slot = 0; slot < 2; slot += 1) this.write(end)
  }

  get index(): number {
    return this.#index
  }

  write(index: number): void {
    const { bytes, at } = encodeAck(index, this.#turn)
    this.#turn += 1
    this.#index = index
    writeSync(this.#fd, bytes, 0, bytes.length, at)
  }

  close(): void {
    closeSync(this.#fd)
  }
}
