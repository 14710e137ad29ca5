// Reads what refine needs out of an encoded Reading, in place: identity, epoch, seq, event time and metrics, into typed
// arrays and without an object per record. The plan is made once per writer schema; every step checks the end of the
// record, so arbitrary bytes are refused in bounded time. avsc decodes the same bytes five times slower, reads beyond a
// record's end, and a forged map of 2^50 entries would keep it busy for ever; the tests hold this scanner to avsc.
import { METRICS } from '../../schemas/metrics.ts'
import { type AvroType, nameOf, skipStep, UnsupportedSchema } from './reading-skip.ts'

export { UnsupportedSchema } from './reading-skip.ts'

type Step = (scanner: ReadingScanner) => void

export interface WriterSchema {
  readonly type: string
  readonly name: string
  readonly fields: readonly { readonly name: string; readonly type: unknown }[]
}

const SKIP_STRING = 0
const TENANT = 1
const SENSOR = 2
const EPOCH = 3
const SEQ = 4
const TS = 5
const NULLABLE = 6
const STEP = 7
const SITE = 8
const NODE = 9

const METRIC_INDEX = new Map(METRICS.map((metric, index) => [metric.name, index]))
const MIN = Float64Array.from(METRICS, (metric) => metric.min)
const MAX = Float64Array.from(METRICS, (metric) => metric.max)

export class ReadingScanner {
  /** One value per metric of schemas/metrics.ts, NaN where the reading has none. */
  readonly metrics = new Float64Array(METRICS.length)
  tenantAt = 0
  tenantLength = 0
  sensorAt = 0
  sensorLength = 0
  siteAt = 0
  /** 0 where the reading has no site; for the node alike. */
  siteLength = 0
  nodeAt = 0
  nodeLength = 0
  epoch = 0
  seq = 0
  ts = 0
  /** Index of the metric that is out of bounds; -1 for none. */
  invalidMetric = -1
  #bytes: Uint8Array = new Uint8Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  #at = 0
  #end = 0
  #failed = false

  /**
   * Scans one Avro body.
   * @param bytes the body lies in [at, end)
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
    this.epoch = 0
    this.seq = 0
    this.siteLength = 0
    this.nodeLength = 0
    this.invalidMetric = -1
    this.metrics.fill(NaN)
    this.#run(plan)
    return !this.#failed && this.#at === end
  }

  /** The usual fields are read here, by operation codes: a call per field would cost more than the reading itself. */
  #run({ operations, steps }: ScanPlan): void {
    const bytes = this.#bytes
    for (let i = 0; i < operations.length && !this.#failed; i += 1) {
      const operation = operations[i]
      switch (operation) {
        case SKIP_STRING:
          // Not `this.#at += this.length()`: that would add to the place from before the length was read.
          this.skip(this.length())
          break
        case TENANT:
          this.tenantLength = this.length()
          this.tenantAt = this.#at
          this.#at += this.tenantLength
          break
        case SENSOR:
          this.sensorLength = this.length()
          this.sensorAt = this.#at
          this.#at += this.sensorLength
          break
        case SITE:
          this.siteLength = this.length()
          this.siteAt = this.#at
          this.#at += this.siteLength
          break
        case NODE:
          this.nodeLength = this.length()
          this.nodeAt = this.#at
          this.#at += this.nodeLength
          break
        case EPOCH:
          this.epoch = this.long()
          break
        case SEQ:
          this.seq = this.long()
          break
        case TS:
          this.ts = this.long()
          break
        case STEP:
          steps[i](this)
          break
        default:
          // A nullable double: branch 0 is null, branch 1 (zigzag 2) the metric's value.
          if (this.#at < this.#end && bytes[this.#at] === 0) this.#at += 1
          else steps[i](this)
      }
    }
  }

  /** Reads a long; exact below 2^52 (its zigzag form is below 2^53), beyond it the scan fails. */
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

  /** The rest of a long of more than 28 bits, in doubles. */
  #longFrom(low: number): number {
    const bytes = this.#bytes
    let at = this.#at
    let byte = bytes[at]
    let raw = low + (byte & 0x7f) * 268_435_456 // 2^28
    for (let scale = 34_359_738_368; byte >= 0x80 && at < this.#at + 5; scale *= 128) {
      at += 1
      byte = bytes[at]
      raw += (byte & 0x7f) * scale
    }
    this.#at = at + 1
    if (this.#at > this.#end || byte >= 0x80 || raw > Number.MAX_SAFE_INTEGER) this.#failed = true
    const half = Math.floor(raw / 2)
    return half * 2 === raw ? half : -half - 1
  }

  /** Reads a length or an index: a long that may not exceed what is left. */
  length(): number {
    const value = this.long()
    if (value < 0 || value > this.#end - this.#at) {
      this.#failed = true
      return 0
    }
    return value
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

  /** The place of the next byte to read. */
  position(): number {
    return this.#at
  }

  /** Bytes that are left; none after a failure. */
  remaining(): number {
    return this.#failed ? 0 : this.#end - this.#at
  }

  fail(): void {
    this.#failed = true
  }

  setMetric(index: number, value: number): void {
    if (!(value >= MIN[index] && value <= MAX[index])) this.invalidMetric = index
    this.metrics[index] = value
  }
}

/** What to do for each field of one writer schema, in its order: a code, and the step that code STEP calls. */
export interface ScanPlan {
  readonly operations: Int32Array
  readonly steps: readonly Step[]
}

/**
 * @throws UnsupportedSchema when the schema is not a Reading or has types that no Reading has had
 */
export function planScan(schema: WriterSchema): ScanPlan {
  const names = new Set(schema.fields.map((field) => field.name))
  for (const required of ['tenant_id', 'sensor_id', 'ts']) {
    if (schema.type !== 'record' || !names.has(required))
      throw new UnsupportedSchema(`${schema.name} is not a Reading: it has no ${required}`)
  }
  const fields = schema.fields.map(({ name, type }) => ({ name, type: type as AvroType }))
  return {
    operations: Int32Array.from(fields, ({ name, type }) => operationOf(name, type)),
    steps: fields.map(({ name, type }) => stepOf(name, type)),
  }
}

function operationOf(name: string, type: AvroType): number {
  switch (name) {
    case 'tenant_id':
      expectType(name, type, ['string'])
      return TENANT
    case 'sensor_id':
      expectType(name, type, ['string'])
      return SENSOR
    // Where they are of another type they are skipped: nothing of ours wrote them.
    case 'site_id':
      return nameOf(type) === 'string' ? SITE : STEP
    case 'node_id':
      return nameOf(type) === 'string' ? NODE : STEP
    case 'epoch':
      expectType(name, type, ['long', 'int'])
      return EPOCH
    case 'seq':
      expectType(name, type, ['long', 'int'])
      return SEQ
    case 'ts':
      expectType(name, type, ['long'])
      return TS
    default:
      if (METRIC_INDEX.has(name))
        return Array.isArray(type) && type.length === 2 && type[0] === 'null' ? NULLABLE : STEP
      return nameOf(type) === 'string' ? SKIP_STRING : STEP
  }
}

const stepOf = (name: string, type: AvroType): Step => {
  const metric = METRIC_INDEX.get(name)
  return metric === undefined ? skipStep(type) : metricStep(metric, type)
}

function metricStep(metric: number, type: AvroType): Step {
  const branches = Array.isArray(type) ? type : [type]
  const readers = branches.map((branch) => {
    switch (nameOf(branch)) {
      case 'null':
        return null
      case 'double':
        return (s: ReadingScanner) => s.double()
      case 'float':
        return (s: ReadingScanner) => s.float()
      case 'int':
      case 'long':
        return (s: ReadingScanner) => s.long()
      default:
        throw new UnsupportedSchema(`metric ${METRICS[metric].name} has type ${JSON.stringify(branch)}`)
    }
  })
  if (!Array.isArray(type)) return (s) => s.setMetric(metric, readers[0]!(s))
  return (s) => {
    const branch = s.long()
    const reader = readers[branch]
    if (reader === undefined) s.fail()
    else if (reader !== null) s.setMetric(metric, reader(s))
  }
}

function expectType(field: string, type: AvroType, allowed: readonly string[]): void {
  if (!allowed.includes(nameOf(type))) throw new UnsupportedSchema(`${field} has type ${JSON.stringify(type)}`)
}
