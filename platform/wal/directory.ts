// The write-ahead logs of a data folder: where they are (DATA_DIR/wal/<kind>/<name>), which ones there are, and how a
// process opens one. All logs of a process take their epochs from one place.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Logger } from '../log.ts'
import { Epochs } from './epochs.ts'
import { Wal } from './wal.ts'

/** Kinds of logs, and the folders below DATA_DIR/wal that hold them. */
export const WAL_KINDS = ['node', 'ingest', 'import'] as const
export type WalKind = (typeof WAL_KINDS)[number]

export type WalConfig = Pick<Config, 'DATA_DIR' | 'WAL_SEGMENT_BYTES' | 'WAL_MAX_BYTES' | 'WAL_FSYNC_MS'>

export class WalDirectory {
  readonly #config: WalConfig
  readonly #clock: Clock
  readonly #log: Logger
  readonly #epochs: Epochs

  constructor(config: WalConfig, clock: Clock, log: Logger) {
    this.#config = config
    this.#clock = clock
    this.#log = log
    this.#epochs = new Epochs(config.DATA_DIR, Math.random)
  }

  /** @throws WalError */
  open(kind: WalKind, name: string, nodeId: string): Wal {
    return this.openDir(join(this.#config.DATA_DIR, 'wal', kind, name), nodeId)
  }

  /** @throws WalError */
  openDir(dir: string, nodeId: string): Wal {
    const { WAL_SEGMENT_BYTES, WAL_MAX_BYTES, WAL_FSYNC_MS } = this.#config
    const wal = new Wal({
      dir,
      nodeId,
      segmentBytes: WAL_SEGMENT_BYTES,
      maxBytes: WAL_MAX_BYTES,
      fsyncMs: WAL_FSYNC_MS,
      claimEpoch: () => this.#epochs.claim(this.#clock.now()),
    })
    if (wal.renewed !== null)
      this.#log.warn(
        { dir, reason: wal.renewed, epoch: wal.epoch, readings: wal.appended },
        'the log may be behind what was sent, so it continues in a new epoch; readings that it lost cannot be sent again',
      )
    const unacknowledged = wal.appended - wal.acknowledged
    if (wal.cutBytes > 0) this.#log.warn({ dir, bytes: wal.cutBytes }, 'cut an unfinished write off the log')
    if (unacknowledged > 0) this.#log.info({ dir, readings: unacknowledged }, 'the log holds readings still to be sent')
    return wal
  }
}

/** Folders of all logs below a data folder. */
export function listWals(dataDir: string): { kind: WalKind; name: string; dir: string }[] {
  return WAL_KINDS.flatMap((kind) => {
    const parent = join(dataDir, 'wal', kind)
    return namesIn(parent).map((name) => ({ kind, name, dir: join(parent, name) }))
  })
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
