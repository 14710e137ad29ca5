// The clean stream and its side outputs: everything that was accepted comes out, nothing twice, nothing that never went
// in, and time strictly increases per sensor (EM-2, EM-3, X-2).
import { CLEAN, DLQ, LATE, RAW } from '../../schemas/topics.ts'
import { identityOf } from '../accepted.ts'
import { type Check, committed, readingsOf } from './evidence.ts'

const NAMED_MAX = 5

const some = (what: string, names: readonly string[]): string[] =>
  names.length === 0
    ? []
    : [
        `${names.length} readings ${what}: ${names.slice(0, NAMED_MAX).join(', ')}${names.length > NAMED_MAX ? ', …' : ''}`,
      ]

/** The foreign source numbers its garbage arbitrarily. */
const isOurs = (identity: string): boolean => !identity.startsWith('other/')

export const nothingIsLost: Check = ({ accepted, broker }) => {
  const found = new Set([CLEAN, LATE, DLQ].flatMap((topic) => readingsOf(broker, topic).map(identityOf)))
  return some(
    'were accepted and are nowhere',
    [...accepted.owed].filter((identity) => !found.has(identity)),
  )
}

export const nothingIsTwice: Check = ({ broker }) => {
  const seen = new Set<string>()
  const twice: string[] = []
  for (const reading of readingsOf(broker, CLEAN)) {
    const identity = identityOf(reading)
    if (seen.has(identity)) twice.push(`${identity} at ${reading.partition}@${reading.offset}`)
    seen.add(identity)
  }
  // A correction of a reading without seq is in late, in addition to the one it corrects.
  const both = readingsOf(broker, LATE).filter((reading) => reading.epoch !== 0 && seen.has(identityOf(reading)))
  return [...some('are twice in clean', twice), ...some('are in clean and in late', both.map(identityOf))]
}

export const nothingIsInvented: Check = ({ accepted, broker }) => {
  const raw = new Map<string, Buffer>()
  const reused: string[] = []
  for (const reading of readingsOf(broker, RAW)) {
    const identity = identityOf(reading)
    const known = raw.get(identity)
    if (known !== undefined && isOurs(identity) && !known.equals(reading.value)) reused.push(identity)
    raw.set(identity, reading.value)
  }
  const values = new Set(committed(broker, RAW).map(({ value }) => value?.toString('latin1')))
  const invented = [CLEAN, LATE, DLQ].flatMap((topic) =>
    committed(broker, topic).filter(({ value }) => !values.has(value?.toString('latin1'))),
  )
  const strangers = [...raw.keys()].filter(
    (identity) => isOurs(identity) && !accepted.owed.has(identity) && !accepted.forgiven.has(identity),
  )
  return [
    ...some('share a number with another one in raw', reused),
    ...some(
      'came out and never went in',
      invented.map(({ partition, offset }) => `${partition}@${offset}`),
    ),
    ...some('are in raw and were never accepted', strangers),
  ]
}

export const timeIncreases: Check = ({ broker }) => {
  const last = new Map<string, number>()
  const wrong: string[] = []
  for (const { key, ts, partition, offset } of readingsOf(broker, CLEAN)) {
    if (ts <= (last.get(key) ?? -Infinity)) wrong.push(`${key} at ${partition}@${offset}`)
    last.set(key, ts)
  }
  return some('do not follow in time', wrong)
}

/** A batch that nobody can read has one letter, at its last offset, with the reason. */
export const unreadableAreDeadLettered: Check = ({ broker }) => {
  const letters = new Set(
    committed(broker, DLQ).map(({ headers }) => {
      const valueOf = (name: string): string | undefined => headers.find(({ key }) => key === name)?.value?.toString()
      return `${valueOf('__connect.errors.partition')}@${valueOf('__connect.errors.offset')}`
    }),
  )
  const unread = committed(broker, RAW).filter(({ problem }) => problem !== null)
  return some(
    'cannot be read and have no dead letter',
    unread.map(({ partition, offset }) => `${partition}@${offset}`).filter((place) => !letters.has(place)),
  )
}
