// The store holds clean and late, folded by its own rule: the row with the greatest version wins, 0 from clean and
// 1 + offset from late (EM-2, EM-3). Every row is there, with the metrics of the reading that wins, and no other row.
import { CLEAN, LATE } from '../../schemas/topics.ts'
import { readingIn } from '../accepted.ts'
import { type Check, type Evidence, type ReadingRecord, readingsOf } from './evidence.ts'

const NAMED_MAX = 5
const COMPARED = ['temperature_c', 'power_w'] as const

export const storeIsTheFold: Check = ({ broker, stored }: Evidence) => {
  const wanted = new Map<string, { version: number; reading: ReadingRecord }>()
  const enter = (reading: ReadingRecord, version: number): void => {
    const row = `${reading.key} ${reading.ts}`
    if (version >= (wanted.get(row)?.version ?? -1)) wanted.set(row, { version, reading })
  }
  for (const reading of readingsOf(broker, CLEAN)) enter(reading, 0)
  for (const reading of readingsOf(broker, LATE)) enter(reading, 1 + reading.offset)
  const missing = [...wanted.keys()].filter((row) => !stored.has(row))
  const extra = [...stored.keys()].filter((row) => !wanted.has(row))
  const wrong = [...wanted].filter(([row, { version, reading }]) => {
    const found = stored.get(row)
    if (found === undefined) return false
    const { epoch, seq, value } = { ...reading }
    const metrics = readingIn(value)
    return (
      found.version !== version ||
      found.epoch !== epoch ||
      found.seq !== seq ||
      COMPARED.some((name) => (found.metrics[name] ?? null) !== metrics[name])
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
