// A run of WAL entries in memory: what one append wrote or one read brought. Readings in it are numbered from
// firstIndex; nothing is copied out of it until a record batch takes key and value.
export interface Chunk {
  readonly bytes: Buffer
  /** Where the first entry begins. */
  readonly at: number
  readonly firstIndex: number
  readonly count: number
}
