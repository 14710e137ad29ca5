// What refine must answer, written once more from the prose of DESIGN.md and as plainly as possible: arrays that are
// searched from end to end, no index, no deadline kept. Slow and obvious; the tests hold the core to it. It knows
// neither changed settings nor the bounds on bytes, ranges and remembered times; tests of the core alone hold those.
import type { Arrival } from './arrivals.test-support.ts'
import type { CoreSettings } from './settings.ts'

/** Epochs that are remembered per sensor. */
const EPOCHS = 8

export interface Verdicts {
  /** Per sensor, in order. */
  readonly clean: Record<string, string[]>
  /** Per sensor, in order, with the reason. */
  readonly late: Record<string, string[]>
  /** Offsets. */
  readonly deadLetters: number[]
  readonly duplicates: number
  readonly controls: number
  /** Readings that still wait. */
  readonly waiting: number
  /** Seqs given up, one by one. */
  readonly givenUp: number
}

interface Epoch {
  readonly epoch: number
  next: number
  readonly givenUp: Set<number>
  waiting: Arrival[]
}

interface SensorBook {
  lastTs: number
  /** The one used last comes first. */
  epochs: Epoch[]
  heldBack: Arrival[]
  readonly emittedPlain: { ts: number; payload: string }[]
}

export function oracle(arrivals: readonly Arrival[], settings: CoreSettings): Verdicts {
  const { gapTimeoutMs, gapBuffer, holdBackMs, holdBackBuffer } = settings
  const sensors: Record<string, SensorBook> = {}
  const clean: Record<string, string[]> = {}
  const late: Record<string, string[]> = {}
  const deadLetters: number[] = []
  let duplicates = 0
  let controls = 0
  let givenUp = 0
  let now = 0

  const sendLate = (arrival: Arrival, reason: string): void =>
    void (late[arrival.sensor] ??= []).push(`${reason} ${arrival.payload}`)

  function emit(book: SensorBook, arrival: Arrival): void {
    if (arrival.refused) return // only its place was kept
    if (arrival.ts <= book.lastTs) return sendLate(arrival, 'regressed')
    book.lastTs = arrival.ts
    ;(clean[arrival.sensor] ??= []).push(arrival.payload)
  }

  /** Emits what is next now. */
  function follow(book: SensorBook, epoch: Epoch): void {
    for (;;) {
      const next = epoch.waiting.find(({ seq }) => seq === epoch.next)
      if (next === undefined) return
      epoch.waiting = epoch.waiting.filter((one) => one !== next)
      epoch.next += 1
      emit(book, next)
    }
  }

  function giveUpGap(book: SensorBook, epoch: Epoch): void {
    const first = Math.min(...epoch.waiting.map(({ seq }) => seq))
    for (; epoch.next < first; epoch.next += 1) {
      epoch.givenUp.add(epoch.next)
      givenUp += 1
    }
    follow(book, epoch)
  }

  function release(book: SensorBook, readings: readonly Arrival[]): void {
    book.heldBack = book.heldBack.filter((one) => !readings.includes(one))
    for (const reading of [...readings].sort((a, b) => a.ts - b.ts)) {
      emit(book, reading)
      book.emittedPlain.push(reading)
    }
  }

  const oldest = (waiting: readonly Arrival[]): number => Math.min(Infinity, ...waiting.map(({ time }) => time))

  /** Ends the waits of one sensor that are over, the earliest first. */
  function endWaits(book: SensorBook): void {
    for (;;) {
      const over = book.epochs.map((epoch) => ({ epoch: epoch.epoch, at: oldest(epoch.waiting) + gapTimeoutMs }))
      over.push({ epoch: 0, at: oldest(book.heldBack) + holdBackMs })
      over.sort((a, b) => a.at - b.at || a.epoch - b.epoch)
      if (over[0].at > now) return
      if (over[0].epoch === 0) {
        const overdue = book.heldBack.filter(({ time }) => time + holdBackMs <= now)
        const upTo = Math.max(...overdue.map(({ ts }) => ts))
        release(
          book,
          book.heldBack.filter(({ ts }) => ts <= upTo),
        )
      } else {
        const epoch = book.epochs.find((one) => one.epoch === over[0].epoch)!
        while (oldest(epoch.waiting) + gapTimeoutMs <= now) giveUpGap(book, epoch)
      }
    }
  }

  function numbered(book: SensorBook, arrival: Arrival): void {
    let epoch = book.epochs.find((one) => one.epoch === arrival.epoch)
    epoch ??= { epoch: arrival.epoch, next: 0, givenUp: new Set(), waiting: [] }
    book.epochs = [epoch, ...book.epochs.filter((one) => one !== epoch)]
    for (const forgotten of book.epochs.splice(EPOCHS)) while (forgotten.waiting.length > 0) giveUpGap(book, forgotten)
    const { seq } = arrival
    if ((seq < epoch.next && !epoch.givenUp.has(seq)) || epoch.waiting.some((one) => one.seq === seq)) {
      duplicates += 1
      return
    }
    if (arrival.refused) deadLetters.push(arrival.offset)
    if (seq < epoch.next) {
      epoch.givenUp.delete(seq)
      if (!arrival.refused) sendLate(arrival, 'late')
    } else {
      epoch.waiting.push(arrival)
      follow(book, epoch)
      while (epoch.waiting.length > gapBuffer) giveUpGap(book, epoch)
    }
  }

  function plain(book: SensorBook, arrival: Arrival): void {
    if (arrival.refused) return void deadLetters.push(arrival.offset)
    const known = [...book.heldBack, ...book.emittedPlain].find(({ ts }) => ts === arrival.ts)
    if (known !== undefined) {
      if (known.payload === arrival.payload) duplicates += 1
      else sendLate(arrival, 'correction')
    } else if (arrival.ts <= book.lastTs) sendLate(arrival, 'late')
    else {
      book.heldBack.push(arrival)
      if (book.heldBack.length > holdBackBuffer) release(book, [book.heldBack.reduce((a, b) => (b.ts < a.ts ? b : a))])
    }
  }

  for (const record of arrivals) {
    now = Math.max(now, record.time)
    const arrival = { ...record, time: now } // the clock never goes back
    for (const book of Object.values(sensors)) endWaits(book)
    if (arrival.what === 'control') controls += 1
    else if (arrival.what === 'garbage') deadLetters.push(arrival.offset)
    else {
      const book = (sensors[arrival.sensor] ??= { lastTs: -Infinity, epochs: [], heldBack: [], emittedPlain: [] })
      if (arrival.epoch === 0) plain(book, arrival)
      else numbered(book, arrival)
    }
  }
  const waiting = Object.values(sensors).flatMap(({ epochs, heldBack }) => [
    ...heldBack,
    ...epochs.flatMap((epoch) => epoch.waiting),
  ])
  return {
    clean,
    late,
    deadLetters,
    duplicates,
    controls,
    waiting: waiting.filter(({ refused }) => !refused).length,
    givenUp,
  }
}
