// Reads an encoded Reading in place: the places of its ids and tags, epoch, seq, event time and metrics, into typed
// arrays and without an object per record. The plan (reading-plan.ts) is made once per writer's schema; every step checks
// the end of the record, so arbitrary bytes are refused in bounded time, and nothing here throws. avsc decodes the same
// bytes five times slower, reads beyond a record's end, and a forged map of 2^50 entries would keep it busy for ever; the
// tests hold this scanner to avsc.
import { isUtf8 } from 'node:buffer'
import { METRICS } from '../../schemas/metrics.ts'
import { NODE, OP, type ScanPlan, SITE } from './reading-plan.ts'

const MIN = Float64Array.from(METRICS, (metric) => metric.min)
const MAX = Float64Array.from(METRICS, (metric) => metric.max)
/** Records within records of a type that refers to itself: bounds the call stack. */
const DEPTH_MAX = 200
const INT_MAX = 2 ** 31 - 1
/** Numbers per tag: where its name begins and how long it is, and the same of its value. */
export const TAG_STRIDE = 4
const TAGS_AT_FIRST = 16

export class ReadingScanner {
  /** One value per metric of schemas/metrics.ts, NaN where the reading has none. */
  readonly metrics = new Float64Array(METRICS.length)
  /** By TENANT, SITE, NODE, SENSOR: where each id begins; its length is 0 where the reading has none. */
  readonly idAt = new Int32Array(4)
  readonly idLength = new Int32Array(4)
  epoch = 0
  seq = 0
  ts = 0
  monoMs = 0
  /** Places of the tags, TAG_STRIDE numbers each. */
  tags = new Int32Array(TAGS_AT_FIRST * TAG_STRIDE)
  tagCount = 0
  /** Places of the names in `erase`, two numbers each: where it begins and how long it is. */
  erase = new Int32Array(2)
  eraseCount = 0
  /** The field, `tags` or `erase`, that has a text that is not UTF-8: it could become equal to another one. */
  badText: 'tags' | 'erase' | null = null
  /** Index of the metric that is out of bounds; -1 for none. */
  invalidMetric = -1
  /** Some metric is NaN, which no store can hold and which is not the same as none. */
  hasNaN = false
  /** After a scan that failed for a value without a counterpart: its field and why; else null. */
  problem: string | null = null
  #bytes: Uint8Array = new Uint8Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  #at = 0
  #end = 0
  #failed = false
  #depth = 0

  /**
   * Scans one Avro body.
   * @param bytes the body is in [at, end)
   * @returns false when the bytes are not a Reading of that schema, from first to last byte
   */
  scan(plan: ScanPlan, bytes: Uint8Array, at: number, end: number): boolean {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    this.#at = at
    this.#end = end
    this.#failed = false
    this.#depth = 0
    this.epoch = 0
    this.seq = 0
    this.monoMs = 0
    this.tagCount = 0
    this.eraseCount = 0
    this.badText = null
    // A schema may lack them; where they were in an earlier value may be outside of these bytes.
    this.idAt[SITE] = at
    this.idAt[NODE] = at
    this.idLength[SITE] = 0
    this.idLength[NODE] = 0
    this.invalidMetric = -1
    this.hasNaN = false
    this.problem = null
    this.metrics.fill(NaN)
    this.#run(plan)
    return !this.#failed && this.#at === end
  }

  #run({ operations, targets, steps }: ScanPlan): void {
    const bytes = this.#bytes
    for (let i = 0; i < operations.length && !this.#failed; i += 1) {
      switch (operations[i]) {
        case OP.nullableMetric: {
          // Branch 0 is null, branch 1 (zigzag 2) the metric's value.
          const branch = this.#at < this.#end ? bytes[this.#at] : -1
          this.#at += 1
          if (branch === 0) break
          if (branch === 2) this.setMetric(targets[i], this.double())
          else this.#oddBranch(targets[i])
          break
        }
        case OP.text:
          this.text(targets[i])
          break
        case OP.epoch:
          this.epoch = this.long()
          break
        case OP.seq:
          this.seq = this.long()
          break
        case OP.ts:
          this.ts = this.long()
          break
        case OP.mono:
          this.monoMs = this.double()
          break
        case OP.metric:
          this.setMetric(targets[i], this.double())
          break
        case OP.tags:
          this.#tags()
          break
        case OP.skipText:
          // Not `this.#at += this.length()`: that would add to the place from before the length was read.
          this.skip(this.length())
          break
        default:
          steps[i](this)
      }
    }
  }

  /** A branch's index may be written in more bytes than it needs. */
  #oddBranch(metric: number): void {
    this.#at -= 1
    if (this.index(2) === 1) this.setMetric(metric, this.double())
  }

  #tags(): void {
    for (let count = this.long(); count !== 0; count = this.long()) {
      if (count < 0) {
        this.long()
        count = -count
      }
      if (count > this.remaining()) return this.fail()
      for (let i = 0; i < count && !this.#failed; i += 1) {
        this.tagName()
        this.tagValue()
      }
      if (this.#failed) return
    }
  }

  /** Reads a long: exact where a double is, else rounded as Number(BigInt) rounds; beyond 64 bits the scan fails. */
  long(): number {
    const bytes = this.#bytes
    let at = this.#at
    let byte = bytes[at]
    let low = byte & 0x7f
    for (let shift = 7; byte >= 0x80 && shift < 28; shift += 7) {
      at += 1
      byte = bytes[at]
      low |= (byte & 0x7f) << shift
    }
    this.#at = at + 1
    if (byte >= 0x80) return this.#longFrom(low)
    if (this.#at > this.#end) this.#failed = true
    return (low >>> 1) ^ -(low & 1)
  }

  /** The rest of a long of more than 28 bits. Its upper 36 bits are exact, so one addition rounds, and only once. */
  #longFrom(low: number): number {
    const bytes = this.#bytes
    const end = this.#at + 6
    let at = this.#at
    let byte = 0x80
    let high = 0
    for (let scale = 1; byte >= 0x80 && at < end; scale *= 128) {
      byte = bytes[at]
      at += 1
      high += (byte & 0x7f) * scale
    }
    this.#at = at
    if (at > this.#end || byte >= 0x80 || high >= 68_719_476_736) this.#failed = true // 2^36
    const upper = high * 134_217_728 // 2^27: one of the 28 bits is the sign
    const half = low >>> 1
    return (low & 1) === 0 ? upper + half : -(upper + (half + 1))
  }

  /** Reads a long and divides it exactly, rounding down. */
  dividedLong(divisor: number): number {
    const from = this.#at
    const value = this.long()
    if (this.#failed || Number.isSafeInteger(value)) return Math.floor(value / divisor)
    let raw = 0n
    for (let at = this.#at - 1; at >= from; at -= 1) raw = (raw << 7n) | BigInt(this.#bytes[at] & 0x7f)
    const exact = (raw >> 1n) ^ -(raw & 1n)
    const quotient = exact / BigInt(divisor)
    return Number(exact % BigInt(divisor) < 0n ? quotient - 1n : quotient)
  }

  int(): number {
    const value = this.long()
    if (value > INT_MAX || value < -INT_MAX - 1) this.#failed = true
    return value
  }

  /** Reads a length: a long that may not exceed what is left. */
  length(): number {
    const value = this.long()
    if (value >= 0 && value <= this.#end - this.#at) return value
    this.#failed = true
    return 0
  }

  /** Reads the index of a branch or a symbol. */
  index(count: number): number {
    const value = this.long()
    if (value >= 0 && value < count) return value
    this.#failed = true
    return 0
  }

  /** Reads an id. */
  text(id: number): void {
    const length = this.length()
    this.idLength[id] = length
    this.idAt[id] = this.#at
    this.#at += length
  }

  tagName(): void {
    const place = this.tagCount * TAG_STRIDE
    if (place + TAG_STRIDE > this.tags.length) this.tags = grown(this.tags)
    this.#place(this.tags, place, 'tags')
  }

  tagValue(): void {
    this.#place(this.tags, this.tagCount * TAG_STRIDE + 2, 'tags')
    this.tagCount += 1
  }

  erased(): void {
    if (this.eraseCount * 2 >= this.erase.length) this.erase = grown(this.erase)
    this.#place(this.erase, this.eraseCount * 2, 'erase')
    this.eraseCount += 1
  }

  #place(places: Int32Array, index: number, field: 'tags' | 'erase'): void {
    const length = this.length()
    const at = this.#at
    places[index] = at
    places[index + 1] = length
    this.#at = at + length
    const bytes = this.#bytes
    for (let i = at; i < at + length; i += 1) {
      if (bytes[i] < 0x80) continue
      if (!isUtf8(bytes.subarray(at, at + length))) this.badText = field
      return
    }
  }

  double(): number {
    const at = this.#at
    this.skip(8)
    return this.#failed ? NaN : this.#view.getFloat64(at, true)
  }

  float(): number {
    const at = this.#at
    this.skip(4)
    return this.#failed ? NaN : this.#view.getFloat32(at, true)
  }

  skip(bytes: number): void {
    this.#at += bytes
    if (this.#at > this.#end) this.#failed = true
  }

  setMetric(index: number, value: number): void {
    if (!(value >= MIN[index] && value <= MAX[index])) {
      this.invalidMetric = index
      if (value !== value) this.hasNaN = true
    }
    this.metrics[index] = value
  }

  /** Bytes that are left; none after a failure. */
  remaining(): number {
    return this.#failed ? 0 : this.#end - this.#at
  }

  get failed(): boolean {
    return this.#failed
  }

  fail(): void {
    this.#failed = true
  }

  /** Fails for a value that is well formed but has no counterpart. */
  refuse(problem: string): void {
    this.problem = problem
    this.#failed = true
  }

  /** Before a record within the record; false when there are too many of them within each other. */
  enter(): boolean {
    this.#depth += 1
    if (this.#depth <= DEPTH_MAX) return true
    this.refuse(`records are nested more than ${DEPTH_MAX} deep`)
    return false
  }

  leave(): void {
    this.#depth -= 1
  }
}

/** Every text takes a byte of the record at least: that bounds it. */
function grown(places: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(places.length * 2)
  larger.set(places)
  return larger
}
