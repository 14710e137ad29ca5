// Identity over all partitions: a reading whose record went to a partition that its key does not belong to (another
// partitioner, or partitions that were added) may be in clean twice, once in each. Misplaced sensors are few; only their
// sets are kept, and the partitions where they belong are read once more for them alone.
import { CLEAN } from '../schemas/topics.ts'
import type { PartitionBook, SensorBook } from './core/book.ts'
import { idOf } from './core/entries.ts'
import type { Findings } from './core/findings.ts'
import { homeOf, keyText } from './core/records.ts'
import type { Ranges } from './inputs.ts'
import type { PartitionScanner } from './scan.ts'

type ReadingSource = Pick<PartitionScanner, 'eachReading'>

const NAMED_MAX = 5

export class Strays {
  readonly #partitions: number
  /** By key, then by the partition where the sensor does not belong. */
  readonly #found = new Map<string, Map<number, SensorBook>>()

  constructor(partitions: number) {
    this.#partitions = partitions
  }

  get keys(): ReadonlySet<string> {
    return new Set(this.#found.keys())
  }

  collect({ partition, sensors }: PartitionBook): void {
    for (const sensor of sensors.values()) {
      if (homeOf(sensor.key, this.#partitions) === partition || !sensor.lanes.some(({ clean }) => clean.size > 0))
        continue
      const places = this.#found.get(sensor.key) ?? new Map<number, SensorBook>()
      this.#found.set(sensor.key, places)
      places.set(partition, sensor)
    }
  }

  async judge(scanner: ReadingSource, ranges: Pick<Ranges, 'clean'>, findings: Findings): Promise<void> {
    if (this.#found.size === 0) return
    const names = [...this.#found.keys()].slice(0, NAMED_MAX).map(keyText)
    findings.note(
      `${this.#found.size} sensors are in partitions of clean that their keys do not belong to (a producer with another partitioner, or partitions that were added): ${names.join(', ')}`,
    )
    for (let partition = 0; partition < this.#partitions; partition += 1) {
      if (![...this.#found].some(([key, places]) => homeOf(key, this.#partitions) === partition || places.size > 1))
        continue
      await scanner.eachReading(CLEAN, partition, ranges.clean[partition], ({ key, epoch, seq, ts, offset }) => {
        for (const [stray, sensor] of this.#found.get(key) ?? []) {
          // If both partitions are wrong, the lower-numbered one is compared with the other.
          if (stray === partition || (homeOf(key, this.#partitions) !== partition && stray < partition)) continue
          const lane = sensor.lanes.find((one) => one.epoch === epoch)
          if (lane?.clean.has(idOf(lane, seq, ts)) === true)
            findings.problem(
              'TWICE',
              `${keyText(key)} epoch ${epoch} seq ${seq} ts ${ts} is in ${CLEAN}/${partition} (offset ${offset}) and in ${CLEAN}/${stray}`,
            )
        }
      })
    }
  }
}
