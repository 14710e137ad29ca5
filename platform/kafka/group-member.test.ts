// The lives of a group member, on a clock that is moved by hand and a consumer that the test ends.
import { expect, test } from 'vitest'
import { KafkaError } from '../errors.ts'
import { createLog } from '../log.ts'
import { type GroupMemberOptions, type LifeEnds, type MemberLife, runGroupMember } from './group-member.ts'
import { HandClock, rest } from './lifecycles.test-support.ts'
import type { ConsumerHandlers, GroupConsumer } from './port.ts'

const BACKOFF = { baseMs: 100, capMs: 400 }
const lost = (): KafkaError => new KafkaError('CLIENT', 'an answer was lost')

interface Life extends LifeEnds {
  /** The consumer ends for good. */
  readonly crash: (error: Error) => void
}

interface Options extends Partial<Omit<GroupMemberOptions, 'live'>> {
  /** How the consumer begins. */
  readonly run?: () => Promise<void>
  readonly prepare?: MemberLife['prepare']
  readonly beside?: MemberLife['beside']
}

function start({ run = () => Promise.resolve(), prepare, beside, ...more }: Options = {}) {
  const clock = new HandClock()
  const lives: Life[] = []
  const seen: string[] = []
  const stop = new AbortController()
  const live = (ends: LifeEnds): MemberLife => {
    const consumer = {
      run: (handlers: ConsumerHandlers) => {
        lives.push({ ...ends, crash: (error) => handlers.onCrash(error) })
        return run()
      },
      close: () => {
        seen.push('left')
        return Promise.resolve()
      },
    } as unknown as GroupConsumer
    const handlers = { onAssigned: () => undefined, onBatch: () => Promise.resolve() }
    return { consumer, handlers, prepare, beside, release: (how) => void seen.push(how) }
  }
  const options = {
    clock,
    random: () => 1,
    log: createLog('test', 'silent'),
    name: 'the consumer',
    backoff: BACKOFF,
    ...more,
    live,
  }
  let outcome: unknown = 'runs'
  const ended = runGroupMember(options, stop.signal).then(
    () => (outcome = 'ended'),
    (error: unknown) => (outcome = error),
  )
  /** Waits until there is a life after the latest one; returns how long it took. */
  const nextLife = async (): Promise<number> => {
    const [before, at] = [lives.length, clock.mono()]
    await rest()
    while (lives.length === before && outcome === 'runs') await clock.pass(1)
    return clock.mono() - at
  }
  return { clock, lives, seen, stop, ended, nextLife, outcome: () => outcome }
}

test('a consumer that has ended is left and made again, after waits that grow up to the cap', async () => {
  const { lives, seen, nextLife } = start()
  await rest()
  const waits: number[] = []
  for (let life = 0; life < 4; life += 1) {
    lives[life].crash(lost())
    waits.push(await nextLife())
  }
  expect(waits).toEqual([100, 200, 400, 400])
  expect(seen.slice(0, 2)).toEqual(['failed', 'left'])
})

test('after a stable life the wait is the shortest again', async () => {
  const { clock, lives, nextLife } = start()
  await rest()
  lives[0].crash(lost())
  await nextLife()
  await clock.pass(60_001)
  lives[1].crash(lost())
  expect(await nextLife()).toBe(100)
})

test('a consumer that cannot begin counts as one that has ended', async () => {
  let tries = 0
  const { nextLife, outcome } = start({ run: () => ((tries += 1) === 1 ? Promise.reject(lost()) : Promise.resolve()) })
  await rest()
  expect(await nextLife()).toBe(100)
  expect(outcome()).toBe('runs')
})

test('what cannot be prepared counts as a crash, and no consumer joins', async () => {
  let tries = 0
  const prepare = (): Promise<void> => ((tries += 1) === 1 ? Promise.reject(lost()) : Promise.resolve())
  const { clock, lives, seen } = start({ prepare })
  await rest()
  expect([lives.length, seen]).toEqual([0, ['failed', 'left']])
  await clock.pass(100)
  expect([lives.length, tries]).toEqual([1, 2])
})

test('an error that another life would end with, too, ends the member', async () => {
  const { lives, seen, ended, outcome } = start({ isFatal: ({ code }) => code === 'OFFSET_OUT_OF_RANGE' })
  await rest()
  const gone = new KafkaError('OFFSET_OUT_OF_RANGE', 'removed by retention')
  lives[0].crash(gone)
  await ended
  expect([outcome(), lives.length, seen]).toEqual([gone, 1, ['failed', 'left']])
})

test('a failure of the work ends the member with its first reason, even at a stop', async () => {
  const { lives, seen, stop, ended, outcome } = start()
  await rest()
  const first = new Error('contradicts itself')
  lives[0].fail(first)
  lives[0].fail(new Error('follows from it'))
  stop.abort()
  await ended
  expect([outcome(), seen]).toEqual([first, ['failed', 'left']])
})

test('a defect beside the consumer ends the member, and the group is left', async () => {
  const defect = new TypeError('is not a function')
  const { seen, ended, outcome } = start({ beside: () => Promise.reject(defect) })
  await ended
  expect([outcome(), seen]).toEqual([defect, ['failed', 'left']])
})

test('a crash with an error of another kind is named, with its cause', async () => {
  const cause = new Error('socket')
  const { lives, ended, outcome } = start({ isFatal: () => true })
  await rest()
  lives[0].crash(cause)
  await ended
  expect(outcome()).toMatchObject({ code: 'CRASH', message: 'socket', cause })
})

test('a life that is renewed is followed at once by the next, as soon as that may begin', async () => {
  let begun = 0
  const { lives, nextLife, seen } = start({ beforeLife: () => Promise.resolve(void (begun += 1)) })
  await rest()
  lives[0].renew()
  expect([await nextLife(), begun, seen]).toEqual([0, 2, ['failed', 'left']])
})

test('a stop leaves the group cleanly', async () => {
  const { seen, stop, ended, outcome } = start()
  await rest()
  stop.abort()
  await ended
  expect([outcome(), seen]).toEqual(['ended', ['clean', 'left']])
})

test('a stop during the wait makes no other consumer', async () => {
  const { lives, stop, ended, outcome } = start()
  await rest()
  lives[0].crash(lost())
  await rest()
  stop.abort()
  await ended
  expect([outcome(), lives.length]).toEqual(['ended', 1])
})

test('with one crash more than the limit in its period the member ends, and seldom ones do not add up', async () => {
  const { clock, lives, nextLife, outcome } = start({ crashLimit: { crashesMax: 2, periodMs: 10_000 } })
  await rest()
  for (let life = 0; life < 4; life += 1) {
    lives[life].crash(lost())
    await nextLife()
    await clock.pass(5_000)
  }
  expect(outcome()).toBe('runs')
  for (let life = 4; life < 6; life += 1) {
    lives[life].crash(lost())
    await nextLife()
  }
  expect(outcome()).toMatchObject({ code: 'CLIENT' })
})

test('a broker that is lost before a life costs a wait, not the member; an error that would stay ends it', async () => {
  const answers = [new KafkaError('CLIENT', 'the connection was reset', { retriable: true }), null]
  const { nextLife, outcome } = start({
    beforeLife: () => {
      const error = answers.shift()
      return error instanceof KafkaError ? Promise.reject(error) : Promise.resolve()
    },
  })
  expect(await nextLife()).toBe(100)
  expect(outcome()).toBe('runs')

  const lasting = lost()
  const other = start({ beforeLife: () => Promise.reject(lasting) })
  await other.ended
  expect(other.outcome()).toBe(lasting)
})
