// Epochs name write-ahead logs; together with sensor and seq they name a reading, so none may ever be given twice: not to
// two logs of one data folder, not after a disk was lost, and not when the folder is an older copy of itself, which
// does not know the epochs given since. So an epoch is the time in seconds followed by 20 random bits, and within a
// folder it is claimed by an exclusive file besides. It stays below 2^52 until the year 2106.
import { closeSync, mkdirSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const RANDOM_VALUES = 2 ** 20

export class Epochs {
  readonly #dir: string
  readonly #random: () => number
  #last: number

  constructor(dataDir: string, random: () => number) {
    this.#dir = join(dataDir, 'wal', 'epochs')
    this.#random = random
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 })
    this.#last = readdirSync(this.#dir).reduce((greatest, name) => Math.max(greatest, Number(name) || 0), 0)
  }

  /** @param nowMs wall time */
  claim(nowMs: number): number {
    for (;;) {
      const drawn = Math.floor(nowMs / 1000) * RANDOM_VALUES + Math.floor(this.#random() * RANDOM_VALUES)
      this.#last = Math.max(this.#last + 1, drawn, 1)
      try {
        closeSync(openSync(join(this.#dir, String(this.#last)), 'wx', 0o600))
        return this.#last
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
    }
  }
}
