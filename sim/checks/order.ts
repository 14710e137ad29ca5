// The total order: gapless from 0, every extent in it exactly once, in the order of its partition (DS-1); and the views
// of its leaders, whose ids grow by one (DS-3).
import avsc from 'avsc'
import { FRAME_BYTES } from '../../platform/codec/reading.ts'
import { loadSchema } from '../../schemas/load.ts'
import { ORDER, VIEWS } from '../../schemas/topics.ts'
import type { SimBroker } from '../broker/broker.ts'
import { type Check, committed } from './evidence.ts'
import { extentsOf } from './extents.ts'

const orderType = avsc.Type.forSchema(loadSchema('order') as unknown as avsc.Schema)
const viewType = avsc.Type.forSchema(loadSchema('view') as unknown as avsc.Schema)

export interface OrderEntry {
  readonly partition: number
  readonly first_offset: number
  readonly count: number
  readonly base_sequence: number
  readonly extent_offset: number
}

export const orderOf = (broker: SimBroker): OrderEntry[] =>
  committed(broker, ORDER).map(({ value }) => orderType.fromBuffer(value!.subarray(FRAME_BYTES)) as OrderEntry)

export const orderIsGapless: Check = ({ broker }) => {
  const problems: string[] = []
  let next = 0
  for (const { base_sequence: base, count, partition, extent_offset: offset } of orderOf(broker)) {
    if (base !== next) problems.push(`extent ${partition}@${offset} has the sequence ${base} in place of ${next}`)
    next = base + count
  }
  return problems
}

export const everyExtentIsInOrderOnce: Check = ({ broker }) => {
  const problems: string[] = []
  const nameOf = (extent: { partition: number; first_offset: number; count: number }, offset: number): string =>
    `${extent.partition}@${offset} of clean ${extent.first_offset} + ${extent.count}`
  const wanted = extentsOf(broker).map((extent) => nameOf(extent, extent.offset))
  const found = orderOf(broker).map((entry) => nameOf(entry, entry.extent_offset))
  const inOrder = new Set(found)
  if (inOrder.size < found.length) problems.push(`${found.length - inOrder.size} extents are in the order twice`)
  const known = new Set(wanted)
  problems.push(
    ...wanted.filter((name) => !inOrder.has(name)).map((name) => `the order lacks extent ${name}`),
    ...found.filter((name) => !known.has(name)).map((name) => `the order has ${name}, which is no extent`),
  )
  const last = new Map<number, number>()
  for (const { partition, extent_offset: offset } of orderOf(broker)) {
    if (offset <= (last.get(partition) ?? -1)) problems.push(`extent ${partition}@${offset} is out of order`)
    last.set(partition, offset)
  }
  return problems
}

export const viewsGrowByOne: Check = ({ broker }) => {
  const ids = committed(broker, VIEWS)
    .filter(({ value }) => value !== null)
    .map(({ value }) => (viewType.fromBuffer(value!.subarray(FRAME_BYTES)) as { view_id: number }).view_id)
  const wrong = ids.findIndex((id, i) => id !== i + 1)
  return wrong < 0 ? [] : [`view ${wrong + 1} has the id ${ids[wrong]}`]
}
