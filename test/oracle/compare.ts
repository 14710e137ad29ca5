// Compares what the oracle expects with what the real topics hold, record by record and byte by byte.
import type { Expected, RawRecord } from './refine.ts'

/** The real outputs of one partition, in the order of their topics. */
export interface Actual {
  readonly clean: readonly RawRecord[]
  readonly late: readonly RawRecord[]
  readonly dlq: readonly RawRecord[]
}

/**
 * @param raw the partition that the expectation was computed from
 * @returns descriptions of the differences; empty if everything is as expected
 */
export function differences(raw: readonly RawRecord[], expected: Expected, actual: Actual): string[] {
  const byOffset = new Map(raw.map((record) => [record.offset, record]))
  const found: string[] = []
  const wantClean = [...expected.clean].map(
    ([key, offsets]) => [key, offsets.map((offset) => ({ offset, note: '' }))] as const,
  )
  const wantLate = [...expected.late].map(
    ([key, entries]) => [key, entries.map(({ offset, reason }) => ({ offset, note: reason }))] as const,
  )
  compareSensors(
    'clean',
    new Map(wantClean),
    bySensor(actual.clean, () => ''),
    byOffset,
    found,
  )
  compareSensors(
    'late',
    new Map(wantLate),
    bySensor(actual.late, (record) => record.headers['plumbline.reason'] ?? ''),
    byOffset,
    found,
  )
  compareDeadLetters(expected, actual.dlq, byOffset, found)
  return found
}

interface Real {
  readonly record: RawRecord
  readonly note: string
}

function bySensor(records: readonly RawRecord[], note: (record: RawRecord) => string): Map<string, Real[]> {
  const sensors = new Map<string, Real[]>()
  for (const record of records) {
    const key = record.key!.toString()
    const list = sensors.get(key) ?? []
    list.push({ record, note: note(record) })
    sensors.set(key, list)
  }
  return sensors
}

function compareSensors(
  topic: string,
  wanted: ReadonlyMap<string, readonly { offset: number; note: string }[]>,
  real: ReadonlyMap<string, readonly Real[]>,
  raw: ReadonlyMap<number, RawRecord>,
  found: string[],
): void {
  for (const key of new Set([...wanted.keys(), ...real.keys()])) {
    const want = wanted.get(key) ?? []
    const have = real.get(key) ?? []
    if (want.length !== have.length) found.push(`${topic} of ${key}: ${have.length} records, expected ${want.length}`)
    const at = want.findIndex(
      ({ offset, note }, i) =>
        have[i] === undefined || have[i].note !== note || !have[i].record.value!.equals(raw.get(offset)!.value!),
    )
    if (at >= 0)
      found.push(
        `${topic} of ${key}: record ${at} should be raw ${want[at].offset} ${want[at].note}, is ${have[at]?.record.offset ?? 'missing'} ${have[at]?.note ?? ''}`,
      )
  }
}

function compareDeadLetters(
  expected: Expected,
  dlq: readonly RawRecord[],
  raw: ReadonlyMap<number, RawRecord>,
  found: string[],
): void {
  const want = expected.deadLetters.map(({ offset, reason }) => `${offset} ${reason}`).sort()
  const have = dlq
    .map(({ headers }) => `${headers['__connect.errors.offset']} ${headers['__connect.errors.exception.class.name']}`)
    .sort()
  for (const entry of want) if (!have.includes(entry)) found.push(`dlq lacks raw ${entry}`)
  for (const entry of have) if (!want.includes(entry)) found.push(`dlq has raw ${entry}, which was not expected`)
  if (new Set(have).size !== have.length) found.push('dlq has a record twice')
  for (const { headers, key, value } of dlq) {
    const source = raw.get(Number(headers['__connect.errors.offset']))
    if (source === undefined || !same(source.key, key) || !same(source.value, value))
      found.push(`dlq changed the bytes of raw ${headers['__connect.errors.offset']}`)
  }
}

const same = (a: Buffer | null, b: Buffer | null): boolean => (a === null || b === null ? a === b : a.equals(b))
