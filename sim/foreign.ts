// Third-party sources, as a simulated process that writes to raw directly: readings without seq, with
// corrections; readings with a seq of which some never come, come late, or come again under a new epoch; and bytes that
// are not a reading. It retries a send until the broker has accepted it, like any producer, so raw may have it twice.
// A scenario may give it habits: schemas that change in mid stream, copies in other partitions, batches nobody can read.
import { sensorKey } from '../platform/codec/identity.ts'
import { encodeFramed, type Reading, readingType } from '../platform/codec/reading.ts'
import { partitionOfKey } from '../platform/kafka/partitioner.ts'
import type { Kafka } from '../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../platform/kafka/record-batch/builder.ts'
import { METRICS } from '../schemas/metrics.ts'
import { RAW } from '../schemas/topics.ts'
import { type Accepted, identityOf } from './accepted.ts'
import type { Life } from './life.ts'
import { chance, pick, type Random, whole } from './random.ts'
import { DamagedBatch } from './damaged-batch.ts'
import { DECLARED, INCOMPATIBLE, OTHERS, SCHEMA_IDS, type SimRegistry, UNKNOWN_SCHEMA_ID } from './registry.ts'
import type { Habit } from './scenario.ts'

const SENSORS = 3
const PERIOD_MS = 80
const RETRY_MS = 150
/** Per round. */
const CHANGES_SCHEMA = 0.15
const IS_INCOMPATIBLE = 0.05
const IS_DAMAGED = 0.1
/** Per reading. */
const IS_MISPLACED = 0.1
const DAMAGED_RECORDS_MAX = 5
const NULLS = Object.fromEntries(METRICS.map(({ name }) => [name, null]))

interface Outgoing {
  readonly key: Buffer
  readonly value: Buffer | null
  /** Null if it is not a reading. */
  readonly identity: string | null
  /** Rounds to wait: out of order. */
  wait: number
  /** A copy goes to a partition that is not its key's. */
  readonly misplaced: boolean
}

export interface ForeignOptions {
  readonly life: Life
  readonly kafka: Kafka
  readonly random: Random
  readonly partitions: number
  readonly accepted: Accepted
  /** An epoch never used before, in any life: a source that restarts numbering at 0 must say so. */
  readonly claimEpoch: () => number
  readonly registry: SimRegistry
  readonly habits: readonly Habit[]
  /** Draws the habits. */
  readonly whims: Random
}

export class Foreign {
  readonly #options: ForeignOptions
  #leaving = false
  #waiting: Outgoing[] = []
  #epoch: number
  #writer = DECLARED
  readonly #seqs = new Array<number>(SENSORS).fill(0)

  constructor(options: ForeignOptions) {
    this.#options = options
    this.#epoch = options.claimEpoch()
  }

  get depth(): number {
    return this.#leaving ? this.#waiting.length : 0
  }

  leave(): void {
    this.#leaving = true
    for (const outgoing of this.#waiting) outgoing.wait = 0
  }

  async run(): Promise<void> {
    const { life, kafka } = this.#options
    const producer = await kafka.producer()
    for (;;) {
      if (!this.#leaving) this.#make()
      const due = this.#waiting.filter(({ wait }) => wait <= 0)
      for (const outgoing of this.#waiting) outgoing.wait -= 1
      try {
        await producer.send(this.#batches(due))
        for (const { identity } of due) if (identity !== null) this.#options.accepted.add(identity)
        this.#waiting = this.#waiting.filter((outgoing) => !due.includes(outgoing))
        if (!this.#leaving && this.#is('damaged-batches', IS_DAMAGED)) await producer.send([this.#damaged()])
        await life.clock.sleep(PERIOD_MS)
      } catch {
        await life.clock.sleep(RETRY_MS)
      }
    }
  }

  #batches(due: readonly Outgoing[]) {
    const { partitions } = this.#options
    const builders = Array.from({ length: partitions }, () => new RecordBatchBuilder())
    for (const { key, value, misplaced } of due) {
      const partition = partitionOfKey(key, partitions)
      builders[partition].add(key, value)
      if (misplaced) builders[(partition + 1) % partitions].add(key, value)
    }
    return builders.flatMap((records, partition) => (records.count > 0 ? [{ topic: RAW, partition, records }] : []))
  }

  #damaged(): { topic: string; partition: number; records: DamagedBatch } {
    const { partitions, whims } = this.#options
    const records = new DamagedBatch(whims)
    for (let i = whole(whims, 1, DAMAGED_RECORDS_MAX); i > 0; i -= 1)
      records.add(Buffer.from('other/damaged'), Buffer.alloc(9))
    return { topic: RAW, partition: whole(whims, 0, partitions - 1), records }
  }

  /** Whether the habit shows now. */
  #is(habit: Habit, probability: number): boolean {
    const { habits, whims } = this.#options
    return habits.includes(habit) && chance(whims, probability)
  }

  #changeSchema(): void {
    const { whims, registry } = this.#options
    const writer = pick(whims, [DECLARED, ...OTHERS])
    if (registry.register(writer)) this.#writer = writer
  }

  /** One round of all sensors. */
  #make(): void {
    const { random, registry } = this.#options
    if (this.#is('other-schemas', CHANGES_SCHEMA)) this.#changeSchema()
    if (this.#is('other-schemas', IS_INCOMPATIBLE) && registry.register(INCOMPATIBLE))
      this.#waiting.push(this.#unreadable(this.#reading(1, true)))
    if (chance(random, 0.01)) {
      this.#epoch = this.#options.claimEpoch()
      this.#seqs.fill(0)
    }
    for (let sensor = 0; sensor < SENSORS; sensor += 1) {
      const isNumbered = sensor > 0
      const reading = this.#reading(sensor, isNumbered)
      if (isNumbered && chance(random, 0.02)) continue // never sent: a gap
      this.#queue(reading, chance(random, 0.05) ? whole(random, 1, 12) : 0)
      if (chance(random, 0.02)) this.#queue(reading, whole(random, 0, 10))
      if (!isNumbered && chance(random, 0.03)) this.#queue({ ...reading, power_w: 7 }, whole(random, 0, 8))
      // Bad readings have numbers of their own, as those of any source would.
      if (chance(random, 0.01)) this.#waiting.push(this.#garbage(this.#reading(sensor, isNumbered)))
    }
  }

  #reading(sensor: number, isNumbered: boolean): Reading {
    const { life, random } = this.#options
    const seq = this.#seqs[sensor]
    this.#seqs[sensor] += 1
    return {
      tenant_id: 'other',
      site_id: 's',
      node_id: 'n',
      sensor_id: `foreign-${sensor}`,
      epoch: isNumbered ? this.#epoch : 0,
      seq: isNumbered ? seq : 0,
      ts: life.clock.now() + whole(random, -20, 20),
      mono_ms: 0,
      ...NULLS,
      temperature_c: 20 + random(),
      tags: {},
    }
  }

  #queue(reading: Reading, wait: number): void {
    const key = sensorKey(reading.tenant_id, reading.sensor_id)
    const value = encodeFramed(this.#writer.type, this.#writer.id, reading)
    const misplaced = this.#options.partitions > 1 && this.#is('other-partitions', IS_MISPLACED)
    this.#waiting.push({ key: Buffer.from(key), value, identity: identityOf({ ...reading, key }), wait, misplaced })
  }

  /** Its number is taken and never comes. */
  #unreadable(reading: Reading): Outgoing {
    const key = Buffer.from(sensorKey(reading.tenant_id, reading.sensor_id))
    const value = encodeFramed(INCOMPATIBLE.type, INCOMPATIBLE.id, reading)
    return { key, value, identity: null, wait: 0, misplaced: false }
  }

  #garbage(reading: Reading): Outgoing {
    const { random } = this.#options
    const key = Buffer.from(sensorKey(reading.tenant_id, reading.sensor_id))
    const value = encodeFramed(readingType, SCHEMA_IDS.get(RAW)!, reading)
    const bad = pick<() => Buffer | null>(random, [
      () => null,
      () => Buffer.from([0, 1, 2]),
      () => value.subarray(0, value.length - 3),
      () => encodeFramed(readingType, UNKNOWN_SCHEMA_ID, reading),
      () => encodeFramed(readingType, SCHEMA_IDS.get(RAW)!, { ...reading, ts: reading.ts + 86_400_000 }),
    ])
    return { key, value: bad(), identity: null, wait: 0, misplaced: false }
  }
}
