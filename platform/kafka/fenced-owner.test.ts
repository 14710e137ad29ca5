// The rules that keep two owners of one role apart, on a clock that is moved by hand.
import { describe, expect, test } from 'vitest'
import { FencedOwner, type FencedOwnerOptions, Membership, type Owner } from './fenced-owner.ts'
import { HandClock, rest } from './lifecycles.test-support.ts'

class FakeOwner implements Owner {
  isClosed = false
  begin: () => Promise<void> = () => Promise.resolve()

  close(): Promise<void> {
    this.isClosed = true
    return Promise.resolve()
  }
}

/** An attempt that fences and restores, until the test ends it. */
interface Restoring {
  readonly owner: FakeOwner
  readonly finish: () => void
  readonly break: (error: Error) => void
}

const BACKOFF = { baseMs: 100, capMs: 400 }
const FATAL = new Error('contradicts itself')
const PASSING = new Error('away')

function setUp(more: Partial<FencedOwnerOptions<FakeOwner>> = {}) {
  const clock = new HandClock()
  const membership = new Membership(clock)
  const restoring: Restoring[] = []
  const seen: string[] = []
  const role = new FencedOwner<FakeOwner>({
    clock,
    membership,
    random: () => 1,
    backoff: BACKOFF,
    acquire: () =>
      new Promise((resolve, reject) => {
        const owner = new FakeOwner()
        restoring.push({ owner, finish: () => resolve(owner), break: reject })
      }),
    onOwned: () => void seen.push('owned'),
    onDropped: ({ isClosed }) => void seen.push(isClosed ? 'closed before dropped' : 'dropped'),
    onFailure: () => void seen.push('failure'),
    isFatal: (error) => error === FATAL,
    onFatal: (error) => void seen.push(`fatal: ${error.message}`),
    ...more,
  })
  /** The group has settled and the role is this member's. */
  const assign = async (generation: number): Promise<void> => {
    membership.settle(generation)
    role.acquire()
    await rest()
  }
  const finish = async (index: number): Promise<void> => {
    restoring[index].finish()
    await rest()
  }
  /** Owns the role by the first attempt. */
  const own = async (): Promise<FakeOwner> => {
    await assign(1)
    await finish(0)
    return restoring[0].owner
  }
  return { clock, membership, restoring, seen, role, assign, finish, own }
}

describe('a fenced owner', () => {
  test('owns the role once it has fenced, restored and begun', async () => {
    const { role, assign, finish, restoring, seen } = setUp()
    expect(role.state).toBe('idle')
    await assign(1)
    expect([role.state, role.owner]).toEqual(['acquiring', null])
    await finish(0)
    expect([role.state, role.owner]).toEqual(['owned', restoring[0].owner])
    expect(seen).toEqual(['owned'])
  })

  test('is kept over a rebalance that leaves the role here', async () => {
    const { role, own, assign, restoring } = setUp()
    const owner = await own()
    await assign(2)
    expect(role.owner).toBe(owner)
    expect(restoring).toHaveLength(1)
  })

  test('a zombie does not fence its successor: after a doubt nothing is fenced before the broker confirms', async () => {
    const { clock, membership, role, own, restoring } = setUp()
    const owner = await own()
    membership.confirm()
    role.doubt()
    expect([owner.isClosed, role.owner]).toEqual([true, null])
    // A confirmation of the moment of the doubt may be the one that was answered before it.
    membership.confirm()
    await clock.pass(10_000)
    expect(restoring).toHaveLength(1)
    membership.confirm()
    await clock.pass(50)
    expect(restoring).toHaveLength(2)
  })

  test('after a failed try, too, the next one waits for a newer confirmation', async () => {
    const { clock, membership, assign, restoring, seen } = setUp()
    await assign(1)
    await clock.pass(10)
    restoring[0].break(PASSING)
    await clock.pass(10_000)
    expect([seen, restoring.length]).toEqual([['failure'], 1])
    membership.confirm()
    await clock.pass(50)
    expect(restoring).toHaveLength(2)
  })

  test('one attempt at a time: the next one waits for the former one, though that is not wanted any more', async () => {
    const { role, assign, finish, restoring, seen } = setUp()
    await assign(1)
    role.drop()
    await assign(2)
    expect(restoring).toHaveLength(1)
    await finish(0)
    expect(restoring[0].owner.isClosed).toBe(true)
    expect(restoring).toHaveLength(2)
    await finish(1)
    expect([role.owner, seen]).toEqual([restoring[1].owner, ['owned']])
  })

  test('what was acquired while the group was rearranged is closed, and acquired again after a wait', async () => {
    const { clock, role, assign, finish, restoring } = setUp()
    await assign(1)
    await assign(2)
    await finish(0)
    expect([restoring[0].owner.isClosed, role.state, restoring.length]).toEqual([true, 'acquiring', 1])
    await clock.pass(100)
    await finish(1)
    expect(role.owner).toBe(restoring[1].owner)
  })

  test('an owner that lacks a part of what is assigned is closed, and acquired again', async () => {
    let isComplete = false
    const { clock, role, assign, finish, restoring } = setUp({ isComplete: () => isComplete })
    await assign(1)
    await finish(0)
    expect([restoring[0].owner.isClosed, role.state]).toEqual([true, 'acquiring'])
    isComplete = true
    await clock.pass(100)
    await finish(1)
    expect(role.owner).toBe(restoring[1].owner)
  })

  test('an owner whose first commit fails is closed', async () => {
    const { assign, finish, restoring, seen } = setUp()
    await assign(1)
    restoring[0].owner.begin = () => Promise.reject(PASSING)
    await finish(0)
    expect([restoring[0].owner.isClosed, seen]).toEqual([true, ['failure']])
  })

  test('a role that is lost during the first commit is not owned', async () => {
    const { role, assign, finish, restoring, seen } = setUp()
    await assign(1)
    let begun = (): void => undefined
    restoring[0].owner.begin = () => new Promise((resolve) => (begun = resolve))
    await finish(0)
    role.drop()
    begun()
    await rest()
    expect([restoring[0].owner.isClosed, role.owner, seen]).toEqual([true, null, []])
  })

  test('waits longer after each failure, up to the cap', async () => {
    const { clock, membership, assign, restoring } = setUp()
    await assign(1)
    const waits: number[] = []
    for (let index = 0; index < 4; index += 1) {
      restoring[index].break(PASSING)
      await rest()
      const failedAt = clock.mono()
      while (restoring.length === index + 1) {
        await clock.pass(1)
        membership.confirm()
      }
      waits.push(clock.mono() - failedAt)
    }
    expect(waits).toEqual([100, 200, 400, 400])
  })

  test('waits before an attempt where its owner says so, and not for a role that is lost meanwhile', async () => {
    const { clock, role, assign, restoring } = setUp({ delayMs: () => 30_000 })
    await assign(1)
    await clock.pass(29_999)
    expect(restoring).toHaveLength(0)
    role.drop()
    await role.close()
    expect(restoring).toHaveLength(0)
  })

  test('a fatal error ends the attempts with its reason', async () => {
    const { clock, membership, role, assign, restoring, seen } = setUp()
    await assign(1)
    restoring[0].break(FATAL)
    await clock.pass(1)
    membership.confirm()
    await clock.pass(10_000)
    // Not idle: the role is still assigned and has no owner.
    expect([seen, restoring.length, role.state]).toEqual([['fatal: contradicts itself'], 1, 'acquiring'])
  })

  test('what an attempt fails with after the role is lost is nobody’s concern, even if fatal', async () => {
    const { role, assign, restoring, seen } = setUp()
    await assign(1)
    role.drop()
    restoring[0].break(FATAL)
    await rest()
    expect(seen).toEqual([])
  })

  test('a role that is lost is dropped first, then closed', async () => {
    const { role, own, seen } = setUp()
    const owner = await own()
    role.drop()
    expect([seen, owner.isClosed, role.state]).toEqual([['owned', 'dropped'], true, 'idle'])
  })

  test('at its end the owner may finish its work, and a doubt about that acquires nothing', async () => {
    const { clock, membership, role, own, restoring } = setUp()
    const owner = await own()
    role.end()
    expect(role.owner).toBe(owner)
    await clock.pass(1)
    role.doubt()
    membership.confirm()
    await clock.pass(1_000)
    expect([owner.isClosed, role.state, restoring.length]).toEqual([true, 'idle', 1])
  })

  test('closing waits for the attempt under way and closes what it acquires', async () => {
    const { role, assign, finish, restoring, seen } = setUp()
    await assign(1)
    let isClosed = false
    const closing = role.close().then(() => (isClosed = true))
    await rest()
    expect(isClosed).toBe(false)
    await finish(0)
    await closing
    expect([restoring[0].owner.isClosed, seen]).toEqual([true, []])
  })
})

test('a member that has not joined has no generation, and is confirmed by joining', async () => {
  const clock = new HandClock()
  const membership = new Membership(clock)
  expect([membership.hasJoined, membership.isConfirmedSince(-Infinity)]).toEqual([false, false])
  await clock.pass(10)
  membership.settle(1)
  expect([membership.hasJoined, membership.isConfirmedSince(9), membership.isConfirmedSince(10)]).toEqual([
    true,
    true,
    false,
  ])
})
