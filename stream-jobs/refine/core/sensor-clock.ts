// Whether a sensor's clock may be believed. What counts is how far event time is ahead of arrival time: a reading that is
// further ahead than the sensor has lately been would, once emitted, make all good ones after it late for as long as it
// is ahead. Such a reading does not advance the sensor's time, unless several in a row say the same: then it is the
// clock that was set. Being behind is never suspicious: that is what a backlog looks like.

/** Consecutive readings that must agree before a new offset is believed. */
const AGREEING = 3
/** A sensor that is no longer ahead loses this allowance after a while, ms: it may be ahead only in bursts. */
const MEMORY_MS = 600_000

/** All offsets are event time minus arrival time, ms. */
export class SensorClock {
  /** The greatest offset lately believed; -Infinity before the first reading. */
  offset: number
  /** Arrival time of the reading that confirmed it last, ms. */
  confirmedAt: number
  /** Offset of the latest reading that was not believed, and how many in a row have agreed so far. */
  candidate: number
  agreeing: number

  constructor(offset = -Infinity, confirmedAt = 0, candidate = 0, agreeing = 0) {
    this.offset = offset
    this.confirmedAt = confirmedAt
    this.candidate = candidate
    this.agreeing = agreeing
  }

  /**
   * Judges the next reading of the sensor.
   * @param toleranceMs how far a reading may be ahead without giving cause for doubt
   * @returns whether its event time may advance the sensor's
   */
  believes(ts: number, arrival: number, toleranceMs: number): boolean {
    const offset = ts - arrival
    if (offset <= toleranceMs || offset <= this.offset + toleranceMs) {
      this.agreeing = 0
      this.#confirm(offset, arrival, toleranceMs)
      return true
    }
    // Readings sent together arrive at once, so that a steady clock's offsets rise within a burst; they never fall.
    this.agreeing = this.agreeing > 0 && offset >= this.candidate - toleranceMs ? this.agreeing + 1 : 1
    this.candidate = offset
    if (this.agreeing < AGREEING) return false
    this.agreeing = 0
    this.offset = offset
    this.confirmedAt = arrival
    return true
  }

  #confirm(offset: number, arrival: number, toleranceMs: number): void {
    if (offset < this.offset - toleranceMs && arrival - this.confirmedAt < MEMORY_MS) return
    if (offset > this.offset || offset < this.offset - toleranceMs) this.offset = offset
    this.confirmedAt = arrival
  }
}
