// What opening a write-ahead log needs to know.

export type ForceFile = (fd: number, done: (cause: Error | null) => void) => void

export interface WalOptions {
  readonly dir: string
  readonly nodeId: string
  readonly segmentBytes: number
  readonly maxBytes: number
  /** How often `sync` is called by the owner, ms; 0: a batch counts only when it has been forced to disk. */
  readonly fsyncMs: number
  /** Forces a file to disk in the background; the system's own if not given. */
  readonly force?: ForceFile
  /** Gives an epoch that no log had before. */
  readonly claimEpoch: () => number
  /** Identity of the machine's boot, for tests. */
  readonly boot?: string
}
