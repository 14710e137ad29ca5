// Epochs name write-ahead logs. A new log takes its time of creation in whole seconds, so that a log made after a disk
// was lost never takes the number of one that was on it; and an epoch is claimed by an exclusive file, so that two
// logs of one data folder (two processes, a node and the HTTP ingest) never share one even within a second.
import { closeSync, mkdirSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

export class Epochs {
  readonly #dir: string
  #last: number

  constructor(dataDir: string) {
    this.#dir = join(dataDir, 'wal', 'epochs')
    mkdirSync(this.#dir, { recursive: true })
    this.#last = readdirSync(this.#dir).reduce((greatest, name) => Math.max(greatest, Number(name) || 0), 0)
  }

  /** @param nowMs wall time */
  claim(nowMs: number): number {
    for (;;) {
      this.#last = Math.max(this.#last + 1, Math.floor(nowMs / 1000), 1)
      try {
        closeSync(openSync(join(this.#dir, String(this.#last)), 'wx'))
        return this.#last
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
    }
  }
}
