// What refine should have made of a raw partition, computed once more and in the plainest way: every record in turn,
// sorted arrays, no indexes, no queues, nothing shared with stream-jobs/. The answer names raw offsets only, so it can
// be laid beside the real topics. Written after DESIGN's words on ordering, not after the code that it judges.
//
// Not modelled: changed settings, more than 8 epochs per sensor, more than 256 separate gaps per lane, 2 MiB of waiting
// bytes per sensor. Tests stay within these; the first two are checked here.
import type avsc from 'avsc'
import { METRICS } from '../../schemas/metrics.ts'

export interface RawRecord {
  readonly offset: number
  /** LogAppendTime, ms. */
  readonly arrival: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, string>>
}

export interface OracleSettings {
  readonly gapTimeoutMs: number
  readonly gapBuffer: number
  readonly holdBackMs: number
  readonly holdBackBuffer: number
  readonly futureMs: number
}

/** Raw offsets by what became of the record. */
export interface Expected {
  /** Per record key, in the order of the clean topic. */
  readonly clean: Map<string, number[]>
  /** Per record key, in the order of the late topic. */
  readonly late: Map<string, { offset: number; reason: string }[]>
  readonly deadLetters: { offset: number; reason: string }[]
  readonly duplicates: number[]
  readonly controls: number[]
  readonly waiting: number[]
}

interface Waiting {
  readonly offset: number
  readonly seq: number
  readonly ts: number
  readonly arrival: number
  /** Its reading went to the dead letters; only its place in the order is kept. */
  readonly isDead: boolean
  readonly value: Buffer
}

interface Lane {
  readonly epoch: number
  next: number
  readonly givenUp: Set<number>
  waiting: Waiting[]
}

interface Sensor {
  readonly key: string
  lastTs: number
  readonly lanes: Lane[]
  /** Readings without seq that were released, oldest first. */
  readonly released: Waiting[]
}

/** Readings without seq that are remembered after their release. */
const REMEMBERED = 256
const LANES_MAX = 8
const UNNUMBERED = 0

/**
 * @param records one raw partition, whole and in order
 * @param typeOf the writer's type by schema id; undefined where the registry knows none
 */
export function expectRefined(
  records: readonly RawRecord[],
  settings: OracleSettings,
  typeOf: (schemaId: number) => avsc.Type | undefined,
): Expected {
  const oracle = new Oracle(settings, typeOf)
  for (const record of records) oracle.read(record)
  return oracle.result()
}

class Oracle {
  readonly #settings: OracleSettings
  readonly #typeOf: (schemaId: number) => avsc.Type | undefined
  readonly #sensors: Sensor[] = []
  readonly #expected: Expected = {
    clean: new Map(),
    late: new Map(),
    deadLetters: [],
    duplicates: [],
    controls: [],
    waiting: [],
  }
  #now = 0

  constructor(settings: OracleSettings, typeOf: (schemaId: number) => avsc.Type | undefined) {
    this.#settings = settings
    this.#typeOf = typeOf
  }

  read(record: RawRecord): void {
    this.#now = Math.max(this.#now, record.arrival)
    this.#endWaits()
    const control = record.headers['plumbline.control']
    if (control === 'tick' || control === 'settings') {
      this.#expected.controls.push(record.offset)
      return
    }
    const refusal = control === undefined ? this.#refusal(record) : 'UNKNOWN_CONTROL'
    if (refusal !== null) this.#expected.deadLetters.push({ offset: record.offset, reason: refusal })
    else this.#reading(record)
  }

  result(): Expected {
    for (const { lanes } of this.#sensors) {
      for (const { waiting } of lanes)
        for (const { offset, isDead } of waiting) if (!isDead) this.#expected.waiting.push(offset)
    }
    return this.#expected
  }

  /** Why the record is no reading at all; it then takes no place in any order. */
  #refusal({ key, value }: RawRecord): string | null {
    if (key === null || key.length === 0) return 'NO_KEY'
    if (value === null) return 'NO_VALUE'
    if (value.length < 5 || value[0] !== 0) return 'NOT_FRAMED'
    const type = this.#typeOf(value.readUInt32BE(1))
    if (type === undefined) return 'UNKNOWN_SCHEMA'
    let reading: Record<string, unknown>
    try {
      reading = type.fromBuffer(value.subarray(5)) as Record<string, unknown>
    } catch {
      return 'UNDECODABLE'
    }
    const ids = [reading.tenant_id, reading.sensor_id].map(String)
    if (ids.some((id) => id === '' || Buffer.byteLength(id) > 256)) return 'INVALID_IDENTITY'
    if (key.toString() !== ids.join('/') || ids[0].includes('/')) return 'KEY_MISMATCH'
    return (reading.epoch as number) < 0 || (reading.seq as number) < 0 ? 'INVALID_SEQ' : null
  }

  #reading(record: RawRecord): void {
    const value = record.value!
    const reading = this.#typeOf(value.readUInt32BE(1))!.fromBuffer(value.subarray(5)) as Record<string, number | null>
    const { epoch, seq, ts } = reading as Record<string, number>
    const sensor = this.#sensor(record.key!.toString())
    const problem = this.#problem(reading)
    if (record.headers['plumbline.replay.as'] === 'late') {
      if (problem === null) listOf(this.#expected.late, sensor.key).push({ offset: record.offset, reason: 'replayed' })
      else this.#expected.deadLetters.push({ offset: record.offset, reason: problem })
      return
    }
    const lane = laneOf(sensor, epoch)
    const candidate = { offset: record.offset, seq, ts, arrival: this.#now, isDead: problem !== null, value }
    if (epoch === UNNUMBERED && problem === null) this.#unnumbered(sensor, lane, candidate)
    else if (epoch !== UNNUMBERED && this.#isTaken(lane, seq)) {
      this.#expected.duplicates.push(record.offset)
      return
    } else if (epoch !== UNNUMBERED) this.#numbered(sensor, lane, candidate)
    if (problem !== null) this.#expected.deadLetters.push({ offset: record.offset, reason: problem })
  }

  #problem(reading: Readonly<Record<string, number | null>>): string | null {
    if (reading.ts! - this.#now > this.#settings.futureMs) return 'FUTURE_TIME'
    const isOutside = METRICS.some(
      ({ name, min, max }) => reading[name] != null && !(reading[name]! >= min && reading[name]! <= max),
    )
    return isOutside ? 'METRIC_OUT_OF_BOUNDS' : null
  }

  #isTaken(lane: Lane, seq: number): boolean {
    return lane.waiting.some((held) => held.seq === seq) || (seq < lane.next && !lane.givenUp.has(seq))
  }

  #numbered(sensor: Sensor, lane: Lane, reading: Waiting): void {
    if (reading.seq < lane.next) {
      lane.givenUp.delete(reading.seq)
      if (!reading.isDead) this.#late(sensor, reading, 'late')
      return
    }
    lane.waiting.push(reading)
    lane.waiting.sort((a, b) => a.seq - b.seq)
    this.#passInOrder(sensor, lane)
    while (lane.waiting.length > this.#settings.gapBuffer) this.#giveUp(sensor, lane)
  }

  #unnumbered(sensor: Sensor, lane: Lane, reading: Waiting): void {
    const same =
      lane.waiting.find((held) => held.ts === reading.ts) ??
      (reading.ts <= sensor.lastTs ? sensor.released.findLast((held) => held.ts === reading.ts) : undefined)
    if (same !== undefined) {
      if (same.value.equals(reading.value)) this.#expected.duplicates.push(reading.offset)
      else this.#late(sensor, reading, 'correction')
    } else if (reading.ts <= sensor.lastTs) this.#late(sensor, reading, 'late')
    else {
      lane.waiting.push(reading)
      lane.waiting.sort((a, b) => a.ts - b.ts)
      while (lane.waiting.length > this.#settings.holdBackBuffer) this.#release(sensor, lane, 1)
    }
  }

  #release(sensor: Sensor, lane: Lane, count: number): void {
    for (const reading of lane.waiting.splice(0, count)) {
      this.#emit(sensor, reading)
      sensor.released.push(reading)
      if (sensor.released.length > REMEMBERED) sensor.released.shift()
    }
  }

  #passInOrder(sensor: Sensor, lane: Lane): void {
    while (lane.waiting.length > 0 && lane.waiting[0].seq === lane.next) {
      const reading = lane.waiting.shift()!
      lane.next += 1
      if (!reading.isDead) this.#emit(sensor, reading)
    }
  }

  #giveUp(sensor: Sensor, lane: Lane): void {
    for (; lane.next < lane.waiting[0].seq; lane.next += 1) lane.givenUp.add(lane.next)
    this.#passInOrder(sensor, lane)
  }

  /** The wait that was over first ends first; of one sensor's lanes at the same time the lower epoch. */
  #endWaits(): void {
    for (const sensor of this.#sensors) {
      while (sensor.lanes.some(({ waiting }) => waiting.length > 0)) {
        const due = sensor.lanes
          .map((lane) => ({ lane, deadline: this.#deadline(lane) }))
          .filter(({ deadline }) => deadline <= this.#now)
          .sort((a, b) => a.deadline - b.deadline || a.lane.epoch - b.lane.epoch)
        if (due.length === 0) break
        const { lane } = due[0]
        if (lane.epoch === UNNUMBERED)
          this.#release(
            sensor,
            lane,
            1 + lane.waiting.findLastIndex(({ arrival }) => arrival + this.#settings.holdBackMs <= this.#now),
          )
        else while (this.#deadline(lane) <= this.#now) this.#giveUp(sensor, lane)
      }
    }
  }

  #deadline({ epoch, waiting }: Lane): number {
    const wait = epoch === UNNUMBERED ? this.#settings.holdBackMs : this.#settings.gapTimeoutMs
    return Math.min(...waiting.map(({ arrival }) => arrival)) + wait
  }

  #emit(sensor: Sensor, reading: Waiting): void {
    if (reading.ts <= sensor.lastTs) {
      this.#late(sensor, reading, 'regressed')
      return
    }
    sensor.lastTs = reading.ts
    listOf(this.#expected.clean, sensor.key).push(reading.offset)
  }

  #late(sensor: Sensor, { offset }: Waiting, reason: string): void {
    listOf(this.#expected.late, sensor.key).push({ offset, reason })
  }

  #sensor(key: string): Sensor {
    let sensor = this.#sensors.find((candidate) => candidate.key === key)
    if (sensor === undefined) {
      sensor = { key, lastTs: -Infinity, lanes: [], released: [] }
      this.#sensors.push(sensor)
    }
    return sensor
  }
}

function laneOf(sensor: Sensor, epoch: number): Lane {
  let lane = sensor.lanes.find((candidate) => candidate.epoch === epoch)
  if (lane === undefined) {
    lane = { epoch, next: 0, givenUp: new Set(), waiting: [] }
    sensor.lanes.push(lane)
    if (sensor.lanes.length > LANES_MAX)
      throw new RangeError(`the oracle knows at most ${LANES_MAX} epochs of ${sensor.key}`)
  }
  return lane
}

function listOf<T>(lists: Map<string, T[]>, key: string): T[] {
  const list = lists.get(key) ?? []
  lists.set(key, list)
  return list
}
