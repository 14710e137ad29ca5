// Copies of the producers' log folders, and how they are put back: what was accepted after the copy and had not reached
// the broker is lost with that, which is nobody's bug; whatever had reached it is owed all the same.
import { copyFileSync, cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { RAW } from '../schemas/topics.ts'
import { identityOf } from './accepted.ts'
import { readingsOf } from './checks/evidence.ts'
import { letTheClockTick } from './clock-tick.ts'
import type { World } from './world.ts'

interface Copied {
  readonly log: string
  readonly copy: string
  /** Readings that the log had accepted by then. */
  readonly accepted: number
}

export class LogBackups {
  readonly #world: World
  readonly #logs: string
  readonly #copies: string
  #copied: Copied[] = []

  constructor(world: World) {
    this.#world = world
    this.#logs = join(world.config.DATA_DIR, 'wal', 'node')
    this.#copies = join(world.folder, 'copies')
  }

  get exist(): boolean {
    return this.#copied.length > 0
  }

  take(): void {
    const { trace, accepted } = this.#world
    trace.fault('producers', 'have their logs copied')
    this.#copied = readdirSync(this.#logs).map((name) => {
      const log = join(this.#logs, name)
      const copy = join(this.#copies, name)
      rmSync(copy, { recursive: true, force: true })
      cpSync(log, copy, { recursive: true })
      return { log, copy, accepted: accepted.countOf(log) }
    })
  }

  /** Puts the copies back; the process must be gone. */
  restore(): void {
    const { accepted, broker } = this.#world
    const sent = new Set(readingsOf(broker, RAW).map(identityOf))
    letTheClockTick(this.#copies)
    for (const { log, copy, accepted: then } of this.#copied) {
      for (const name of readdirSync(log)) rmSync(join(log, name))
      mkdirSync(log, { recursive: true })
      for (const name of readdirSync(copy)) if (name !== 'lock') copyFileSync(join(copy, name), join(log, name))
      accepted.forgive(log, then, (identity) => sent.has(identity))
    }
    this.#copied = []
  }
}
