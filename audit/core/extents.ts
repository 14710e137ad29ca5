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

export class ExtentCoverage {
  readonly #extents: Extents
  readonly #partition: number
  readonly #cleanStart: number
  readonly #findings: Findings
  #at = 0
  #seen = 0
  /** Records in no extent, as a range that grows. */
  #bare: { from: number; to: number } | null = null

  constructor(extents: Extents, partition: number, cleanStart: number, findings: Findings) {
    this.#extents = extents
    this.#partition = partition
    this.#cleanStart = cleanStart
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
    // Nothing is known before the first retained extent; after the last one, the next may still be on its way.
    if (length === 0 || offset < firsts.at(0)) return
    if (this.#bare !== null && this.#at < length) this.#bare.to = offset
    else {
      this.#flush()
      this.#bare = { from: offset, to: offset }
    }
    if (this.#bare.to < offset) this.#bare.to = offset
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
 * @returns how many extents the order does not have yet
 */
export function judgeOrdered(ordered: Extents, extents: Extents, partition: number, findings: Findings): number {
  if (extents.length === 0 || ordered.isCut || extents.isCut) return 0
  let at = 0
  // The order has a longer retention than the extents, or was truncated further.
  while (at < ordered.length && ordered.firsts.at(at) < extents.firsts.at(0)) at += 1
  let i = 0
  while (i < extents.length && at < ordered.length && extents.firsts.at(i) < ordered.firsts.at(at)) {
    if (at > 0 || ordered.firsts.at(0) === 0) lacks(extents, i, partition, findings)
    i += 1
  }
  for (; i < extents.length && at < ordered.length; i += 1) {
    if (extents.firsts.at(i) === ordered.firsts.at(at)) {
      if (extents.counts.at(i) !== ordered.counts.at(at))
        findings.problem(
          'ORDER_DIFFERS',
          `the order says ${ordered.counts.at(at)} records from offset ${ordered.firsts.at(at)} of ${CLEAN}/${partition}; the extent says ${extents.counts.at(i)}`,
        )
      at += 1
    } else lacks(extents, i, partition, findings)
  }
  if (at < ordered.length)
    findings.problem(
      'ORDER_DIFFERS',
      `the order names offset ${ordered.firsts.at(at)} of ${CLEAN}/${partition}, which is the beginning of no extent`,
    )
  return extents.length - i
}

function lacks(extents: Extents, i: number, partition: number, findings: Findings): void {
  findings.problem(
    'ORDER_DIFFERS',
    `the order lacks the extent of ${extents.counts.at(i)} records from offset ${extents.firsts.at(i)} of ${CLEAN}/${partition}`,
  )
}
