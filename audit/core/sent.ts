// Compares what write-ahead logs accepted with what raw holds, and names the gaps of sources whose log is elsewhere.
// A log sends in its own order and guarantees everything below its acknowledged index; what it has yet to send is in
// flight, and nothing more may be missing.
import type { LaneBook, PartitionBook } from './book.ts'
import type { Findings } from './findings.ts'
import { nameOf } from './lanes.ts'
import { keyText } from './records.ts'
import { sizeOf } from '../../platform/seq-set.ts'

/** One sensor's readings in one log. */
export interface WalLane {
  readonly log: WalAccount
  /** As latin1 text of its bytes. */
  readonly key: string
  readonly epoch: number
  /** Numbered by a log: seqs 0…lastSeq were all accepted. */
  readonly own: boolean
  /** Readings accepted. */
  readonly count: number
  readonly lastSeq: number
}

/** State of one log; `missing` grows while partitions are judged. */
export interface WalAccount {
  readonly name: string
  /** Readings accepted, and those of them that the broker had not acknowledged when the log was read. */
  readonly accepted: number
  readonly waiting: number
  missing: number
  /** Of the missing ones, those that an open transaction in raw may hide. */
  held: number
  readonly missingNames: string[]
}

/** The visible part of raw. */
export interface RawState {
  /** Nothing was removed from its beginning. */
  readonly isWhole: boolean
  /** Offsets of the partition that an open transaction hides. */
  readonly held: number
}

/** Maximum number of items listed in one log's problem. */
const NAMES_MAX = 20

export function judgeSent(
  book: PartitionBook,
  walLanes: readonly WalLane[],
  { isWhole, held }: RawState,
  findings: Findings,
): void {
  const logged = new Set<LaneBook>()
  const hidden = { left: held }
  for (const wal of walLanes) {
    const lane = book.sensor(wal.key).lane(wal.epoch)
    if (wal.own) logged.add(lane)
    compare(wal, lane, isWhole, hidden)
  }
  for (const { key, lanes } of book.sensors.values()) {
    for (const lane of lanes) {
      if (lane.epoch === 0 || logged.has(lane)) continue
      for (const { from, to } of missingOf(lane, Math.max(lane.raw.last, lane.ahead.last), isWhole))
        findings.gap({ sensor: keyText(key), epoch: lane.epoch, from, to })
    }
  }
}

function compare(
  { log, key, epoch, own, count, lastSeq }: WalLane,
  lane: LaneBook,
  isWhole: boolean,
  hidden: { left: number },
): void {
  if (own) {
    const ranges = missingOf(lane, lastSeq, isWhole)
    log.missing += sizeOf(ranges)
    // Logs send in order: what an open transaction hides comes after everything visible.
    const tail = ranges.filter(({ from }) => from > Math.max(lane.raw.last, lane.ahead.last))
    const behind = Math.min(hidden.left, sizeOf(tail))
    hidden.left -= behind
    log.held += behind
    for (const range of ranges)
      if (log.missingNames.length < NAMES_MAX) log.missingNames.push(nameOf(key, epoch, range))
    return
  }
  // Numbered elsewhere: seqs may be missing or repeated at the source, but every accepted reading is a record.
  const short = isWhole ? Math.max(0, count - lane.records) : 0
  log.missing += short
  if (short > 0 && log.missingNames.length < NAMES_MAX)
    log.missingNames.push(`${short} readings of ${keyText(key)} epoch ${epoch}`)
}

/** Seqs up to `last` that raw does not have; below the first that it keeps only if nothing was removed. */
function missingOf(lane: LaneBook, last: number, isWhole: boolean) {
  const [firstRaw] = lane.raw
  const [firstAhead] = lane.ahead
  const first = Math.min(firstRaw?.from ?? Infinity, firstAhead?.from ?? Infinity)
  if (!isWhole && first === Infinity) return []
  return lane.raw.missing(isWhole ? 0 : first, last).flatMap(({ from, to }) => lane.ahead.missing(from, to))
}

/** Call after every partition has been judged. Returns how many readings are in flight between logs and raw. */
export function judgeLogs(logs: readonly WalAccount[], findings: Findings): number {
  let inFlight = 0
  for (const { name, waiting, missing, held, missingNames } of logs) {
    inFlight += Math.min(missing, waiting + held)
    if (missing <= waiting + held) continue
    findings.problem(
      'NOT_IN_RAW',
      `the log of ${name} accepted ${missing} readings that raw does not have (${waiting} wait to be sent): ${missingNames.join(', ')}`,
    )
  }
  return inFlight
}
