// Reads what a log accepted without taking its lock, so that an audit can look while the producer runs. The last
// segment's header knows everything before it; only that segment is scanned. A writer may roll or delete segments
// meanwhile: then the reading starts over.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readAck } from './ack.ts'
import {
  decodeHeader,
  entryTs,
  type LaneRecord,
  type ParsedHeader,
  scanEntries,
  type Scan,
  SEGMENT_PATTERN,
  segmentName,
  WalError,
} from './format.ts'
import { Lanes } from './lanes.ts'

const ATTEMPTS = 10

export interface WalSummary {
  readonly dir: string
  readonly nodeId: string
  readonly epoch: number
  /** Last seq by record key (tenant/sensor), of readings numbered by this log in its present epoch. */
  readonly accepted: ReadonlyMap<string, number>
  /** Readings that brought their own numbers (epoch 0: none), and those of this log's former epochs. */
  readonly foreign: readonly LaneRecord[]
  /** Index after the last reading accepted; the number of readings since the log began. */
  readonly appendedIndex: number
  /** Index after the last reading acknowledged by the broker. */
  readonly acknowledgedIndex: number
  readonly tail: Scan['tail']
}

/** Base indexes of the segments in a folder, in order. */
export function listSegments(dir: string): number[] {
  const bases: number[] = []
  for (const name of readdirSync(dir)) {
    const match = SEGMENT_PATTERN.exec(name)
    if (match !== null) bases.push(Number(match[1]))
  }
  return bases.sort((a, b) => a - b)
}

export interface LastSegment {
  readonly file: string
  readonly bytes: Buffer
  readonly header: ParsedHeader
  readonly lanes: Lanes
  readonly scan: Scan
  readonly lastTs: number
}

/** Reads a segment whole and counts its readings on top of its header. */
export function loadSegment(dir: string, base: number, maxLaneBytes: number): LastSegment {
  const file = join(dir, segmentName(base))
  const bytes = readFileSync(file)
  const header = decodeHeader(bytes, file)
  const lanes = new Lanes(header.epoch, maxLaneBytes)
  lanes.restore(header.lanes)
  let lastTs = header.lastTs
  const scan = scanEntries(bytes, header.end, 0, (at) => {
    lanes.replay(bytes, at)
    lastTs = Math.max(lastTs, entryTs(bytes, at))
  })
  return { file, bytes, header, lanes, scan, lastTs }
}

/**
 * What the log in `dir` has accepted; null for a folder without a segment.
 * @throws WalError
 */
export function readWalSummary(dir: string): WalSummary | null {
  for (let attempt = 0; ; attempt += 1) {
    const bases = listSegments(dir)
    if (bases.length === 0) return null
    try {
      return summarise(dir, bases)
    } catch (cause) {
      if (!isMissing(cause)) throw cause
      if (attempt >= ATTEMPTS)
        throw new WalError('WAL_BUSY', `${dir} changed ${ATTEMPTS} times while it was read`, { cause, retriable: true })
    }
  }
}

function summarise(dir: string, bases: readonly number[]): WalSummary {
  const { header, lanes, scan } = loadSegment(dir, bases[bases.length - 1], Infinity)
  const appendedIndex = header.baseIndex + scan.count
  const accepted = new Map<string, number>()
  const foreign: LaneRecord[] = []
  for (const { key, epoch, own, count, lastSeq } of lanes.records()) {
    if (own && epoch === header.epoch) accepted.set(key, lastSeq)
    else foreign.push({ key, epoch, own, count, lastSeq })
  }
  return {
    dir,
    nodeId: header.nodeId,
    epoch: header.epoch,
    accepted,
    foreign,
    appendedIndex,
    // Only acknowledged segments are deleted: everything before the first one is acknowledged, whatever the file says. It
    // may say more than was just read: of what the owner has appended since, or of what a power cut has taken.
    acknowledgedIndex: Math.min(appendedIndex, Math.max(readAck(dir), bases[0])),
    tail: scan.tail,
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT'
