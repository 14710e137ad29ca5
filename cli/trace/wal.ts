// What the write-ahead logs of this machine know of a reading: the log that numbered it, its entry as long as its segment
// is kept, and whether the broker has acknowledged it.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  WalError,
  decodeHeader,
  entryKind,
  entryTs,
  foreignEpoch,
  foreignSeq,
  keyAt,
  keyLength,
  OWN,
  scanEntries,
  segmentName,
} from '../../platform/wal/format.ts'
import { listWals } from '../../platform/wal/directory.ts'
import { listSegments, readWalSummary, type WalSummary } from '../../platform/wal/reader.ts'
import type { Step } from './core/report.ts'
import type { Numbered, Target } from './core/target.ts'

export interface WalEntry {
  readonly step: Step
  /** Of the entry, where it was found. */
  readonly reading: Numbered | null
}

/** The first log that has accepted it; null where none of this machine has. */
export function findInWals(dataDir: string, target: Target): WalEntry | null {
  for (const { kind, name, dir } of listWals(dataDir)) {
    const found = attempt(() => findIn(dir, `${kind}/${name}`, target))
    if (found !== null) return found
  }
  return null
}

/** A log that is being rolled or is damaged is not what is asked for: the audit names it. */
function attempt(work: () => WalEntry | null): WalEntry | null {
  try {
    return work()
  } catch (error) {
    if (error instanceof WalError || (error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function findIn(dir: string, name: string, target: Target): WalEntry | null {
  const summary = readWalSummary(dir)
  if (summary === null) return null
  for (const base of listSegments(dir)) {
    const entry = entryIn(dir, base, target)
    if (entry === null) continue
    const isAcknowledged = entry.index < summary.acknowledgedIndex
    return {
      reading: entry.reading,
      step: {
        step: 'wal',
        where: `${name}, reading ${entry.index}`,
        timeMs: null,
        what: isAcknowledged ? 'acknowledged by the broker' : 'not acknowledged by the broker yet',
      },
    }
  }
  if (!hasAccepted(summary, target)) return null
  return {
    reading: null,
    step: {
      step: 'wal',
      where: name,
      timeMs: null,
      what: 'acknowledged by the broker; its segment is deleted',
    },
  }
}

/** By the counters of the last segment: seqs are dense, so the last one says it of all before it. */
function hasAccepted({ epoch, accepted, foreign }: WalSummary, { key, number }: Target): boolean {
  if (number === null) return false
  const text = Buffer.from(key, 'latin1').toString()
  if (number.epoch === epoch) return (accepted.get(text) ?? -1) >= number.seq
  return foreign.some(
    (lane) => lane.own && lane.key === text && lane.epoch === number.epoch && lane.lastSeq >= number.seq,
  )
}

function entryIn(dir: string, base: number, target: Target): { index: number; reading: Numbered } | null {
  const file = join(dir, segmentName(base))
  const bytes = readFileSync(file)
  const header = decodeHeader(bytes, file)
  const key = Buffer.from(target.key, 'latin1')
  const lane = header.lanes.find((each) => each.own && each.epoch === header.epoch && each.key === key.toString())
  let seq = lane === undefined ? 0 : lane.lastSeq + 1
  let index = header.baseIndex
  let found: { index: number; reading: Numbered } | null = null
  scanEntries(bytes, header.end, 0, (at) => {
    const [from, length] = [keyAt(bytes, at), keyLength(bytes, at)]
    if (found === null && length === key.length && bytes.compare(key, 0, length, from, from + length) === 0) {
      const isOwn = entryKind(bytes, at) === OWN
      const reading = {
        epoch: isOwn ? header.epoch : foreignEpoch(bytes, at),
        seq: isOwn ? seq : foreignSeq(bytes, at),
        ts: entryTs(bytes, at),
      }
      if (isOwn) seq += 1
      const { number, ts } = target
      const isIt = number === null ? reading.ts === ts : reading.epoch === number.epoch && reading.seq === number.seq
      if (isIt) found = { index, reading }
    }
    index += 1
  })
  return found
}
