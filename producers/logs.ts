// Where the write-ahead logs of a data folder live, and how a process opens one.
import { join } from 'node:path'
import type { Config } from '../platform/config.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/log.ts'
import type { WalKind } from '../platform/wal/reader.ts'
import { Epochs } from './epochs.ts'
import { Wal } from '../platform/wal/wal.ts'

export type LogConfig = Pick<Config, 'DATA_DIR' | 'WAL_SEGMENT_BYTES' | 'WAL_MAX_BYTES' | 'WAL_FSYNC_MS'>

/** Opens logs; all of a process take their epochs from one place. */
export class Logs {
  readonly #config: LogConfig
  readonly #clock: Clock
  readonly #log: Logger
  readonly #epochs: Epochs

  constructor(config: LogConfig, clock: Clock, log: Logger) {
    this.#config = config
    this.#clock = clock
    this.#log = log
    this.#epochs = new Epochs(config.DATA_DIR)
  }

  /** @throws WalError */
  open(kind: WalKind, name: string, nodeId: string): Wal {
    return this.openDir(join(this.#config.DATA_DIR, 'wal', kind, name), nodeId)
  }

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
    const unacknowledged = wal.appended - wal.acknowledged
    if (wal.cutBytes > 0) this.#log.warn({ dir, bytes: wal.cutBytes }, 'an unfinished write was cut off the log')
    if (unacknowledged > 0)
      this.#log.info({ dir, readings: unacknowledged }, 'the log holds readings that are to be sent')
    return wal
  }
}
