// Whether the extents of one partition cover clean, record by record, and whether the total order has them: every record
// of clean is in exactly one extent, an extent has as many records as it says, and the order has each extent once, in the
// order of the partition. Memory: 16 bytes per extent of one partition, and 16 per record of the order.
import { CLEAN } from '../../schemas/topics.ts'
import type { Findings } from './findings.ts'
import { NumberColumn } from './number-column.ts'

/** Extents of one partition, and records of the order, that are compared: 128 MB each. */
export const EXTENTS_MAX = 8_000_000

/** Ranges [first, first + count) of clean. */
export class Extents {
  readonly firsts = new NumberColumn()
  readonly counts = new NumberColumn()
  /** There are too many to keep, or some could not be read: nothing is compared with them. */
  isCut = false

  add(first: number, count: number): void {
    if (this.firsts.length >= EXTENTS_MAX) {
      this.isCut = true
      return
    }
    this.firsts.push(first)
    this.counts.push(count)
  }

  get length(): number {
    return this.firsts.length
  }

  end(i: number): number {
    return this.firsts.at(i) + this.counts.at(i)
  }
}

export interface KnownOffsets {
  /** First offset that clean keeps. */
  readonly cleanStart: number
  /** Of clean: from here on every record must be in an extent; extents before may have been removed. */
  readonly knownFrom: number
}

/**
 * The extents of one partition, and before them what the order says of those that were removed: it is kept longer.
 * @param extentsStart first offset that the topic of the extents keeps
 * @param cleanEnd offset in clean that the sequencer has reached; infinity if that is not known
 */
export function allExtents(
  extents: Extents,
  ordered: Extents,
  extentsStart: number,
  cleanEnd: number,
): { all: Extents; knownFrom: number } {
  if (extentsStart === 0) return { all: extents, knownFrom: 0 }
  const all = new Extents()
  all.isCut = extents.isCut || ordered.isCut
  const first = extents.length === 0 ? Infinity : extents.firsts.at(0)
  for (let i = 0; i < ordered.length && ordered.firsts.at(i) < first; i += 1)
    all.add(ordered.firsts.at(i), ordered.counts.at(i))
  for (let i = 0; i < extents.length; i += 1) all.add(extents.firsts.at(i), extents.counts.at(i))
  return { all, knownFrom: all.length === 0 ? cleanEnd : all.firsts.at(0) }
}

export class ExtentCoverage {
  readonly #extents: Extents
  readonly #partition: number
  readonly #cleanStart: number
  readonly #knownFrom: number
  readonly #findings: Findings
  #at = 0
  #seen = 0
  /** Records in no extent, as a range that grows. */
  #bare: { from: number; to: number } | null = null

  /** @param known offsets of clean; @param findings for what is wrong */
  constructor(extents: Extents, partition: number, { cleanStart, knownFrom }: KnownOffsets, findings: Findings) {
    this.#extents = extents
    this.#partition = partition
    this.#cleanStart = cleanStart
    this.#knownFrom = knownFrom
    this.#findings = findings
    for (let i = 1; i < extents.length; i += 1)
      if (extents.firsts.at(i) < extents.end(i - 1))
        findings.problem(
          'EXTENT_OVERLAP',
          `an extent of ${CLEAN}/${partition} begins at offset ${extents.firsts.at(i)}; the one before it ends at ${extents.end(i - 1)}`,
        )
    // Records removed from clean are not expected.
    while (this.#at < extents.length && extents.end(this.#at) <= cleanStart) this.#at += 1
  }

  /** The next record of clean. */
  record(offset: number): void {
    if (this.#extents.isCut) return
    const { firsts, length } = this.#extents
    while (this.#at < length && offset >= this.#extents.end(this.#at)) this.#close()
    if (this.#at < length && offset >= firsts.at(this.#at)) {
      this.#seen += 1
      return
    }
    if (offset < this.#knownFrom) return
    // After the last extent, the next may still be on its way: `finish` decides.
    if (this.#bare === null) this.#bare = { from: offset, to: offset }
    else this.#bare.to = offset
  }

  /** @param isStill nothing was written while the end offsets were read */
  finish(isStill: boolean): void {
    if (this.#extents.isCut) return
    if (isStill || this.#at < this.#extents.length) this.#flush()
    if (isStill) while (this.#at < this.#extents.length) this.#close()
  }

  #close(): void {
    const { firsts, counts } = this.#extents
    const first = firsts.at(this.#at)
    const wanted = this.#extents.end(this.#at) - Math.max(first, this.#cleanStart)
    if (this.#seen !== wanted)
      this.#findings.problem(
        'EXTENT_DIFFERS',
        `an extent says ${counts.at(this.#at)} records from offset ${first} of ${CLEAN}/${this.#partition}; clean has ${this.#seen} of ${wanted}`,
      )
    this.#flush()
    this.#at += 1
    this.#seen = 0
  }

  #flush(): void {
    if (this.#bare === null) return
    const { from, to } = this.#bare
    this.#findings.problem(
      'IN_NO_EXTENT',
      `${CLEAN}/${this.#partition} offset ${from === to ? from : `${from}–${to}`} is in no extent, so it has no place in the order`,
    )
    this.#bare = null
  }
}

/**
 * Whether the order has the extents; it was read before them.
 * @param cleanEnd offset in clean that the sequencer had reached: extents before it must be in the order; 0 if not known
 */
export function judgeOrdered(
  ordered: Extents,
  extents: Extents,
  partition: number,
  cleanEnd: number,
  findings: Findings,
): void {
  if (extents.length === 0 || ordered.isCut || extents.isCut) return
  const lacking = new Lacking(partition, findings)
  let at = 0
  // Extents are kept less long than the order, or were removed further.
  while (at < ordered.length && ordered.firsts.at(at) < extents.firsts.at(0)) at += 1
  for (let i = 0; i < extents.length; i += 1) {
    const first = extents.firsts.at(i)
    for (; at < ordered.length && ordered.firsts.at(at) < first; at += 1) unknown(at)
    if (at < ordered.length && first === ordered.firsts.at(at)) {
      lacking.flush()
      if (extents.counts.at(i) !== ordered.counts.at(at))
        findings.problem(
          'ORDER_DIFFERS',
          `the order says ${ordered.counts.at(at)} records from offset ${first} of ${CLEAN}/${partition}; the extent says ${extents.counts.at(i)}`,
        )
      at += 1
    } else if (first < cleanEnd || at < ordered.length) lacking.add(first, extents.counts.at(i))
  }
  lacking.flush()
  for (; at < ordered.length; at += 1) unknown(at)

  function unknown(index: number): void {
    findings.problem(
      'ORDER_DIFFERS',
      `the order names offset ${ordered.firsts.at(index)} of ${CLEAN}/${partition}, which is the beginning of no extent`,
    )
  }
}

/** Extents that follow each other and are not in the order: one problem. */
class Lacking {
  readonly #partition: number
  readonly #findings: Findings
  #first = 0
  #last = 0
  #extents = 0
  #records = 0

  constructor(partition: number, findings: Findings) {
    this.#partition = partition
    this.#findings = findings
  }

  add(first: number, count: number): void {
    if (this.#extents === 0) this.#first = first
    this.#last = first
    this.#extents += 1
    this.#records += count
  }

  flush(): void {
    if (this.#extents === 0) return
    const of = `${this.#records} records from offset ${this.#first} of ${CLEAN}/${this.#partition}`
    this.#findings.problem(
      'ORDER_DIFFERS',
      this.#extents === 1
        ? `the order lacks the extent of ${of}`
        : `the order lacks ${this.#extents} extents of ${of} on, the last from offset ${this.#last}`,
    )
    this.#extents = 0
    this.#records = 0
  }
}
