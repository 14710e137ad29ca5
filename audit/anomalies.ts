// Compares telemetry.anomalies with refine's counter and with the store. An anomaly explains an alarm, so all its fields
// are compared, by one sum per sensor; what differs is named by reading it again, for a bounded number of sensors.
import { DecodeError, FramedDecoder } from '../platform/codec/framed-decoder.ts'
import { type FetchSchema, RegistryError } from '../platform/codec/register.ts'
import { PlumblineError } from '../platform/errors.ts'
import type { OffsetRange, RangeReader } from '../platform/kafka/port.ts'
import type { Anomaly } from '../platform/store/port.ts'
import { ANOMALIES } from '../schemas/topics.ts'
import { anomalyDifferences, anomalyName, AnomalySums } from './core/anomaly-sums.ts'
import type { Findings } from './core/findings.ts'
import { homeOf, keyText } from './core/records.ts'
import { type AuditedStore, keyOf } from './store.ts'

/** Sensors whose anomalies are read again with --deep, and differences that are named of each. */
const SENSORS_MAX = 20
const NAMED_MAX = 10
/** Without --deep. */
const SHOWN_MAX = 5

export class AnomalyScanner {
  readonly #reader: RangeReader
  readonly #decoder: FramedDecoder<Anomaly>
  readonly #findings: Findings
  /** Up to the sink's offsets, without what the sink dead-lettered. */
  readonly #expected = new AnomalySums()
  /** Some could not be read: nothing is compared. */
  #isCut = false

  constructor(reader: RangeReader, fetchSchema: FetchSchema, findings: Findings) {
    this.#reader = reader
    this.#decoder = new FramedDecoder('anomaly', fetchSchema)
    this.#findings = findings
  }

  /**
   * @param stored the store's next offset
   * @param refused places (topic@offset) of records that the sink dead-lettered
   * @returns number of records in the range; null if it could not be read
   */
  async scan(
    partition: number,
    range: OffsetRange,
    stored: number,
    refused: ReadonlyMap<string, unknown>,
  ): Promise<number | null> {
    let count = 0
    const isRead = await this.#each(partition, range, (anomaly, offset) => {
      count += 1
      if (anomaly === null || offset >= stored || refused.has(`${ANOMALIES}@${offset}`)) return
      this.#expected.add(keyOfAnomaly(anomaly), anomaly)
    })
    this.#isCut ||= !isRead
    return isRead ? count : null
  }

  /** @param isWhole nothing was removed from the topic; otherwise the store may have more */
  async judge(
    store: AuditedStore,
    ranges: readonly OffsetRange[],
    { isWhole, deep }: { isWhole: boolean; deep: boolean },
  ): Promise<void> {
    if (this.#isCut) return
    const stored = new AnomalySums()
    try {
      for await (const page of store.anomalies())
        for (const anomaly of page) {
          const key = keyOfAnomaly(anomaly)
          // A sensor's anomalies come in order of event time: older ones may have been removed from the topic.
          if (isWhole || anomaly.ts >= this.#expected.fromOf(key)) stored.add(key, anomaly)
        }
    } catch (error) {
      return store.failed(error)
    }
    const isStill = await store.isStill()
    // What was written meanwhile may be more, never less.
    const differing = this.#expected
      .differing(stored)
      .filter((key) => isStill || stored.countOf(key) < this.#expected.countOf(key))
    if (differing.length === 0) return
    const names = differing.slice(0, SHOWN_MAX).map(keyText).join(', ')
    this.#findings.problem(
      'ANOMALIES_DIFFER',
      `the store has ${stored.count} anomalies; ${ANOMALIES} has ${this.#expected.count} up to the sink's offsets; those of ${differing.length} sensors differ (${names}); plumbline audit --deep names them`,
    )
    if (deep) for (const key of differing.slice(0, SENSORS_MAX)) await this.#name(store, ranges, key)
  }

  async #name(store: AuditedStore, ranges: readonly OffsetRange[], key: string): Promise<void> {
    const partition = homeOf(key, ranges.length)
    const wanted = new Map<string, Anomaly>()
    const { start, end } = ranges[partition]
    const stored = store.offsets.get(`${ANOMALIES}/${partition}`) ?? 0
    await this.#each(partition, { start, end: Math.min(end, stored) }, (anomaly) => {
      if (anomaly !== null && keyOfAnomaly(anomaly) === key) wanted.set(anomalyName(anomaly), anomaly)
    })
    const from = Math.min(...[...wanted.values()].map(({ ts }) => ts))
    let named = 0
    const say = (text: string): void => {
      named += 1
      if (named <= NAMED_MAX) this.#findings.problem('ANOMALIES_DIFFER', text)
    }
    for await (const page of store.anomalies(key))
      for (const anomaly of page) {
        const name = anomalyName(anomaly)
        const one = wanted.get(name)
        wanted.delete(name)
        if (one !== undefined)
          for (const difference of anomalyDifferences(one, anomaly))
            say(`the anomaly of ${keyText(key)} ${name} has ${difference}`)
        else if (start === 0 || anomaly.ts >= from)
          say(`the store has an anomaly of ${keyText(key)} ${name} that ${ANOMALIES} does not have`)
      }
    for (const name of wanted.keys()) say(`the store lacks the anomaly of ${keyText(key)} ${name}`)
  }

  /** @param visit gets null for a record that is not an anomaly @returns false when the range could not be read to its end */
  async #each(
    partition: number,
    { start, end }: OffsetRange,
    visit: (anomaly: Anomaly | null, offset: number) => void,
  ): Promise<boolean> {
    let next = start
    try {
      if (start < end)
        await this.#reader.read({ topic: ANOMALIES, partition }, start, end, async ({ batches }) => {
          for (const batch of batches)
            for (let i = 0; i < batch.count && batch.offset(i) < end; i += 1) {
              next = batch.offset(i)
              visit(await this.#decode(batch.value(i), partition, next), next)
            }
        })
      return true
    } catch (error) {
      if (!(error instanceof PlumblineError)) throw error
      this.#findings.problem(
        error instanceof RegistryError ? 'REGISTRY_UNAVAILABLE' : 'TOPIC_UNREADABLE',
        `${ANOMALIES}/${partition} cannot be read from offset ${next} on (${error.code}): ${error.message}; anomalies are not compared`,
      )
      return false
    }
  }

  async #decode(value: Buffer | null, partition: number, offset: number): Promise<Anomaly | null> {
    try {
      return await this.#decoder.decode(value ?? Buffer.alloc(0))
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#findings.problem('UNREADABLE', `${ANOMALIES}/${partition} offset ${offset} is not a valid anomaly`)
      return null
    }
  }
}

const keyOfAnomaly = ({ tenant_id: tenant, sensor_id: sensor }: Anomaly): string => keyOf({ tenant, sensor })
