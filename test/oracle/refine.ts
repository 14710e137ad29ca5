// What refine should have made of a raw partition, recomputed in the simplest way: one record after another, sorted
// arrays, no indexes, no queues, nothing shared with stream-jobs/. The result contains raw offsets only, so it can be
// compared with the real topics. Written from DESIGN and docs/guarantees.md, not from the code that it judges: the core's
// property tests and the fault tests on a real broker both use this one oracle.
//
// Not modelled: changed settings, more than 256 separate gaps per lane, 2 MiB of waiting bytes per sensor. Tests stay
// within these.
import type avsc from 'avsc'
import { partitionOf } from '../../platform/kafka/partitioner.ts'
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
  readonly aheadMs: number
  readonly earliestMs: number
  /** Own partition, and how many there are; 0: not checked. */
  readonly partition: number
  readonly partitions: number
}

/** Raw offsets by the record's outcome. */
export interface Expected {
  /** Per record key, in the order of the clean topic. */
  readonly clean: Map<string, number[]>
  /** Per record key, in the order of the late topic. */
  readonly late: Map<string, { offset: number; reason: string }[]>
  readonly deadLetters: { offset: number; reason: string }[]
  readonly duplicates: number[]
  /** Includes dead letters. */
  readonly conflicts: number[]
  readonly controls: number[]
  readonly waiting: number[]
  /** Numbers that were abandoned, one by one. */
  givenUp: number
}

interface Waiting {
  readonly offset: number
  readonly seq: number
  readonly ts: number
  readonly arrival: number
  /** Its reading went to the dead letters; only its place in the order is kept. */
  readonly isDead: boolean
  readonly value: Buffer
  /** For a reading without seq: the latest of its event time. */
  latest: Buffer
}

interface Lane {
  readonly epoch: number
  next: number
  readonly givenUp: Set<number>
  waiting: Waiting[]
  /** Values by number, of readings that were emitted. */
  readonly contents: Map<number, Buffer>
}

interface Sensor {
  readonly key: string
  lastTs: number
  /** Most recently used first. */
  readonly lanes: Lane[]
  /** Event times without seq that no longer wait, oldest first, and the latest reading of each. */
  readonly gone: { readonly ts: number; latest: Buffer }[]
  /** How far ahead its clock is believed to be, and when that was last seen. */
  clock: { offset: number; seenAt: number }
  /** How far ahead the latest doubted readings were. */
  doubted: number[]
}

/** Readings without seq that are remembered after their release. */
const REMEMBERED = 256
const LANES_MAX = 8
/** Numbers below the next one whose content is known. */
const CONTENTS = 64
/** A clock's lead is forgotten if nothing confirms it for this long. */
const CLOCK_MS = 600_000
/** Readings in a row that must agree on a new lead. */
const AGREEING = 3
const UNNUMBERED = 0

/**
 * @param records one raw partition, whole and in order
 * @param typeOf the writer's type by schema id; undefined if the registry knows none
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
    conflicts: [],
    controls: [],
    waiting: [],
    givenUp: 0,
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
    const reading = control === undefined ? this.#decode(record) : 'UNKNOWN_CONTROL'
    if (typeof reading === 'string') this.#expected.deadLetters.push({ offset: record.offset, reason: reading })
    else this.#reading(record, reading)
  }

  result(): Expected {
    for (const { lanes } of this.#sensors) {
      for (const { waiting } of lanes)
        for (const { offset, isDead } of waiting) if (!isDead) this.#expected.waiting.push(offset)
    }
    return this.#expected
  }

  /** The reading, or why the record is not one; it then takes no place in any order. */
  #decode({ key, value }: RawRecord): Readonly<Record<string, number | null>> | string {
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
    if ((reading.epoch as number) < 0 || (reading.seq as number) < 0) return 'INVALID_SEQ'
    const { partition, partitions } = this.#settings
    return partitions > 0 && partitionOf(key, 0, key.length, partitions) !== partition
      ? 'WRONG_PARTITION'
      : (reading as Record<string, number | null>)
  }

  #reading(record: RawRecord, reading: Readonly<Record<string, number | null>>): void {
    const value = record.value!
    const { epoch, seq, ts } = reading as Record<string, number>
    const sensor = this.#sensor(record.key!.toString())
    const problem = this.#problem(reading)
    if (record.headers['plumbline.replay.as'] === 'late') {
      if (problem === null) listOf(this.#expected.late, sensor.key).push({ offset: record.offset, reason: 'replayed' })
      else this.#expected.deadLetters.push({ offset: record.offset, reason: problem })
      return
    }
    const lane = this.#lane(sensor, epoch)
    const isDead = problem !== null
    const candidate = { offset: record.offset, seq, ts, arrival: this.#now, isDead, value, latest: value }
    if (epoch === UNNUMBERED && problem === null) this.#unnumbered(sensor, lane, candidate)
    else if (epoch !== UNNUMBERED && this.#isTaken(lane, seq)) {
      if (this.#hasOtherBytes(lane, seq, value)) {
        this.#expected.conflicts.push(record.offset)
        this.#expected.deadLetters.push({ offset: record.offset, reason: 'CONFLICT' })
      } else this.#expected.duplicates.push(record.offset)
      return
    } else if (epoch !== UNNUMBERED) this.#numbered(sensor, lane, candidate)
    if (problem !== null) this.#expected.deadLetters.push({ offset: record.offset, reason: problem })
  }

  #problem(reading: Readonly<Record<string, number | null>>): string | null {
    if (reading.ts! - this.#now > this.#settings.futureMs) return 'FUTURE_TIME'
    if (reading.ts! < this.#settings.earliestMs) return 'PAST_TIME'
    const isOutside = METRICS.some(
      ({ name, min, max }) => reading[name] != null && !(reading[name]! >= min && reading[name]! <= max),
    )
    return isOutside ? 'METRIC_OUT_OF_BOUNDS' : null
  }

  #isTaken(lane: Lane, seq: number): boolean {
    return lane.waiting.some((held) => held.seq === seq) || (seq < lane.next && !lane.givenUp.has(seq))
  }

  #hasOtherBytes(lane: Lane, seq: number, value: Buffer): boolean {
    const held = lane.waiting.find((one) => one.seq === seq)
    const known = held === undefined ? lane.contents.get(seq) : held.isDead ? undefined : held.value
    if (known === undefined || (held === undefined && seq < lane.next - CONTENTS)) return false
    return !known.equals(value)
  }

  #numbered(sensor: Sensor, lane: Lane, reading: Waiting): void {
    if (reading.seq < lane.next) {
      lane.givenUp.delete(reading.seq)
      if (reading.isDead) return
      lane.contents.set(reading.seq, reading.value)
      this.#late(sensor, reading, 'late')
      return
    }
    lane.waiting.push(reading)
    lane.waiting.sort((a, b) => a.seq - b.seq)
    this.#passInOrder(sensor, lane)
    while (lane.waiting.length > this.#settings.gapBuffer) this.#giveUp(sensor, lane)
  }

  #unnumbered(sensor: Sensor, lane: Lane, reading: Waiting): void {
    const same = lane.waiting.find(({ ts }) => ts === reading.ts) ?? sensor.gone.findLast(({ ts }) => ts === reading.ts)
    if (same?.latest.equals(reading.value)) {
      this.#expected.duplicates.push(reading.offset)
      return
    }
    const isNew = same === undefined && reading.ts > sensor.lastTs
    if (isNew && this.#believes(sensor, reading)) {
      lane.waiting.push(reading)
      lane.waiting.sort((a, b) => a.ts - b.ts)
      while (lane.waiting.length > this.#settings.holdBackBuffer) this.#release(sensor, lane, 1)
      return
    }
    this.#late(sensor, reading, same !== undefined ? 'correction' : isNew ? 'ahead' : 'late')
    this.#remember(sensor, lane, reading.ts, reading.value)
  }

  /** The latest reading of an event time. */
  #remember(sensor: Sensor, lane: Lane, ts: number, latest: Buffer): void {
    const same = lane.waiting.find((held) => held.ts === ts) ?? sensor.gone.findLast((one) => one.ts === ts)
    if (same !== undefined) same.latest = latest
    else sensor.gone.push({ ts, latest })
    if (sensor.gone.length > REMEMBERED) sensor.gone.shift()
  }

  /**
   * A reading may be ahead of its arrival by the tolerance, and further ahead only as far as its sensor has been within
   * ten minutes. Otherwise it is doubted, until three in a row agree, that is, do not fall back.
   */
  #believes(sensor: Sensor, { ts, arrival }: Waiting): boolean {
    const { aheadMs } = this.#settings
    const lead = ts - arrival
    const { clock } = sensor
    if (lead > aheadMs && lead > clock.offset + aheadMs) {
      const former = sensor.doubted.at(-1) ?? Infinity
      sensor.doubted = lead < former - aheadMs ? [lead] : [...sensor.doubted, lead]
      if (sensor.doubted.length < AGREEING) return false
      sensor.clock = { offset: lead, seenAt: arrival }
    } else if (lead >= clock.offset - aheadMs) sensor.clock = { offset: Math.max(lead, clock.offset), seenAt: arrival }
    else if (arrival - clock.seenAt >= CLOCK_MS) sensor.clock = { offset: lead, seenAt: arrival }
    sensor.doubted = []
    return true
  }

  #release(sensor: Sensor, lane: Lane, count: number): void {
    for (const reading of lane.waiting.splice(0, count)) {
      this.#emit(sensor, reading)
      this.#remember(sensor, lane, reading.ts, reading.latest)
    }
  }

  #passInOrder(sensor: Sensor, lane: Lane): void {
    while (lane.waiting.length > 0 && lane.waiting[0].seq === lane.next) {
      const reading = lane.waiting.shift()!
      lane.next += 1
      if (reading.isDead) continue
      lane.contents.set(reading.seq, reading.value)
      if (reading.ts > sensor.lastTs && !this.#believes(sensor, reading)) this.#late(sensor, reading, 'ahead')
      else this.#emit(sensor, reading)
    }
  }

  #giveUp(sensor: Sensor, lane: Lane): void {
    for (; lane.next < lane.waiting[0].seq; lane.next += 1) {
      lane.givenUp.add(lane.next)
      this.#expected.givenUp += 1
    }
    this.#passInOrder(sensor, lane)
  }

  /** The earliest deadline comes first; among one sensor's lanes with equal deadlines, the lower epoch. */
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

  #lane(sensor: Sensor, epoch: number): Lane {
    const { lanes } = sensor
    const at = lanes.findIndex((candidate) => candidate.epoch === epoch)
    const lane =
      at >= 0
        ? lanes.splice(at, 1)[0]
        : { epoch, next: 0, givenUp: new Set<number>(), waiting: [], contents: new Map<number, Buffer>() }
    lanes.unshift(lane)
    // Does not apply to readings without seq: their memory has its own bound.
    const numbered = lanes.filter((one) => one.epoch !== UNNUMBERED)
    if (numbered.length > LANES_MAX) {
      const forgotten = numbered.at(-1)!
      lanes.splice(lanes.indexOf(forgotten), 1)
      while (forgotten.waiting.length > 0) this.#giveUp(sensor, forgotten)
    }
    return lane
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
      sensor = { key, lastTs: -Infinity, lanes: [], gone: [], clock: { offset: -Infinity, seenAt: 0 }, doubted: [] }
      this.#sensors.push(sensor)
    }
    return sensor
  }
}

function listOf<T>(lists: Map<string, T[]>, key: string): T[] {
  const list = lists.get(key) ?? []
  lists.set(key, list)
  return list
}
