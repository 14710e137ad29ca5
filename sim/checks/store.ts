// The store holds clean and late, folded by the rule of platform/store/merge.ts, reimplemented here (EM-2, EM-3, K8):
// for each metric the latest reading that has it wins, 0 from clean and 1 + offset from late; the earliest has the place.
import { CLEAN, LATE } from '../../schemas/topics.ts'
import { readingIn } from '../registry.ts'
import { type Check, type Evidence, type ReadingRecord, readingsOf } from './evidence.ts'

const NAMED_MAX = 5
const COMPARED = ['temperature_c', 'power_w'] as const

interface Wanted {
  readonly version: number
  readonly reading: ReadingRecord
}

export const storeIsTheFold: Check = ({ broker, stored }: Evidence) => {
  const wanted = new Map<string, Wanted[]>()
  const enter = (reading: ReadingRecord, version: number): void => {
    const row = `${reading.key} ${reading.ts}`
    wanted.set(row, [...(wanted.get(row) ?? []), { version, reading }])
  }
  for (const reading of readingsOf(broker, CLEAN)) enter(reading, 0)
  for (const reading of readingsOf(broker, LATE)) enter(reading, 1 + reading.offset)
  const missing = [...wanted.keys()].filter((row) => !stored.has(row))
  const extra = [...stored.keys()].filter((row) => !wanted.has(row))
  const wrong = [...wanted].filter(([row, readings]) => {
    const found = stored.get(row)
    if (found === undefined) return false
    const inOrder = [...readings].sort((a, b) => a.version - b.version)
    const [{ reading: first }] = inOrder
    const metrics = inOrder.map(({ reading }) => readingIn(reading.value))
    return (
      found.version !== inOrder[inOrder.length - 1].version ||
      found.epoch !== first.epoch ||
      found.seq !== first.seq ||
      COMPARED.some(
        (name) => (found.metrics[name] ?? null) !== (metrics.findLast((one) => one[name] !== null)?.[name] ?? null),
      )
    )
  })
  return [
    ...named('the store lacks', missing),
    ...named('the store has more than it should:', extra),
    ...named(
      'the store has another reading for',
      wrong.map(([row]) => row),
    ),
  ]
}

const named = (what: string, rows: readonly string[]): string[] =>
  rows.length === 0 ? [] : [`${what} ${rows.length} rows: ${rows.slice(0, NAMED_MAX).join(', ')}`]
