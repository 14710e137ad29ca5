// The extents of a partition follow each other as their records do in clean, and cover every committed record once: what
// the total order is made of (DS-1).
import avsc from 'avsc'
import { FRAME_BYTES } from '../../platform/codec/reading.ts'
import { loadSchema } from '../../schemas/load.ts'
import { CLEAN, EXTENTS } from '../../schemas/topics.ts'
import type { SimBroker } from '../broker/broker.ts'
import { type Check, committed } from './evidence.ts'

const extentType = avsc.Type.forSchema(loadSchema('extent') as unknown as avsc.Schema)

export interface Extent {
  readonly partition: number
  readonly first_offset: number
  readonly count: number
  readonly input_from: number
  readonly input_to: number
  /** Its offset in its partition of the topic. */
  readonly offset: number
}

export const extentsOf = (broker: SimBroker): Extent[] =>
  committed(broker, EXTENTS).map(({ value, offset }) => ({
    ...(extentType.fromBuffer(value!.subarray(FRAME_BYTES)) as Omit<Extent, 'offset'>),
    offset,
  }))

export const extentsCoverClean: Check = ({ broker, partitions }) => {
  const problems: string[] = []
  const extents = extentsOf(broker)
  const clean = committed(broker, CLEAN)
  for (let partition = 0; partition < partitions; partition += 1) {
    const records = clean.filter((record) => record.partition === partition)
    let at = 0
    let inputTo = 0
    for (const extent of extents.filter((one) => one.partition === partition)) {
      const covered = records.slice(at, at + extent.count)
      if (covered.length !== extent.count || covered.some(({ offset }, i) => offset !== extent.first_offset + i))
        problems.push(
          `extent ${partition}@${extent.offset} names clean ${extent.first_offset} + ${extent.count}, which are not the records that follow`,
        )
      if (extent.input_from < inputTo || extent.input_to < extent.input_from)
        problems.push(`extent ${partition}@${extent.offset} goes back in raw`)
      inputTo = extent.input_to
      at += extent.count
    }
    if (at !== records.length)
      problems.push(`the extents of partition ${partition} cover ${at} of ${records.length} records of clean`)
  }
  return problems
}
