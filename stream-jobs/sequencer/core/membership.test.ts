import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../../test/fixtures/property.ts'
import { type Member, Membership, MEMBERS_MAX, type View } from './membership.ts'

const TIMES = { heartbeatMs: 5_000, timeoutMs: 10_000 }
/** The broker's time at monotonic time 0 of the observer. */
const BROKER_0 = 1_000_000

const lead = (leader = 'L', last: View | null = null) => new Membership({ ...TIMES, leader, last })
const beat = (node_id: string, final = false) => ({ node_id, kind: 'sinks', final })
const namesOf = (view: View | null) => view?.members.map(({ node_id }) => node_id)
const viewWith = (members: Member[], at: number, leader = 'former'): View => ({ view_id: 7, at, leader, members })

/** Looks every 100 ms, as a leader does whom the broker answers; returns the views on the way. */
function lookThrough(membership: Membership, from: number, to: number): View[] {
  const views: View[] = []
  for (let mono = from; mono <= to; mono += 100) {
    membership.look(mono)
    const view = membership.proposal(mono)
    if (view === null) continue
    membership.published(view)
    views.push(view)
  }
  return views
}

/** Hears the given members at their times, looking on between. */
function live(membership: Membership, beats: readonly (readonly [mono: number, node: string])[], to: number): View[] {
  const views: View[] = []
  let reached = 0
  for (const [mono, node] of beats) {
    if (mono > reached) views.push(...lookThrough(membership, reached, mono))
    membership.hear(beat(node), BROKER_0 + mono, mono)
    reached = mono
  }
  return [...views, ...lookThrough(membership, reached, to)]
}

describe('DS-3: membership', () => {
  test('a first heartbeat joins, a final one leaves at once, and a view comes only when members change', () => {
    const membership = lead()
    membership.hear(beat('a'), BROKER_0, 0)
    membership.hear(beat('b'), BROKER_0 + 1, 1)
    const [first, ...more] = lookThrough(membership, 10, 3_000)
    expect(more).toEqual([])
    expect(first).toEqual({
      view_id: 1,
      at: BROKER_0 + 10,
      leader: 'L',
      members: [
        { node_id: 'a', kind: 'sinks', since: BROKER_0 },
        { node_id: 'b', kind: 'sinks', since: BROKER_0 + 1 },
      ],
    })
    membership.hear(beat('a'), BROKER_0 + 3_000, 3_000)
    expect(lookThrough(membership, 3_000, 4_000)).toEqual([])
    membership.hear(beat('a', true), BROKER_0 + 4_000, 4_000)
    expect(lookThrough(membership, 4_000, 5_000).map((view) => [view.view_id, namesOf(view)])).toEqual([[2, ['b']]])
  })

  test('the silent one is taken out after the time-out, in one view, and the others stay', () => {
    const beats = Array.from({ length: 8 }, (_, i) => [i * 5_000, 'a'] as const)
    const views = live(lead(), [[0, 'dead'], ...beats], 36_000)
    expect(views.map(namesOf)).toEqual([['a', 'dead'], ['a']])
    const [, { at }] = views
    expect(at - BROKER_0).toBeGreaterThan(TIMES.timeoutMs)
    expect(at - BROKER_0).toBeLessThanOrEqual(TIMES.timeoutMs + 200)
  })

  test('who comes back after the time-out belongs again, since its return', () => {
    const views = live(
      lead(),
      [
        [0, 'a'],
        [0, 'b'],
        [5_000, 'a'],
        [10_000, 'a'],
        [12_000, 'b'],
      ],
      13_000,
    )
    expect(views.map(namesOf)).toEqual([['a', 'b'], ['a'], ['a', 'b']])
    expect(views[2].members[1].since).toBe(BROKER_0 + 12_000)
  })

  test('nobody is expired because the broker or the leader was away: everybody has the whole time-out again', () => {
    const membership = lead()
    membership.hear(beat('a'), BROKER_0, 0)
    membership.hear(beat('b'), BROKER_0, 0)
    lookThrough(membership, 0, 4_000)
    // An hour without an answer.
    expect(lookThrough(membership, 3_604_000, 3_604_000 + TIMES.timeoutMs)).toEqual([])
    membership.hear(beat('b'), BROKER_0 + 3_614_000, 3_614_000)
    expect(lookThrough(membership, 3_614_000, 3_616_000).map(namesOf)).toEqual([['b']])
  })

  test('a step of the broker’s clock expires nobody', () => {
    for (const step of [3_600_000, -3_600_000]) {
      const membership = lead()
      membership.hear(beat('a'), BROKER_0, 0)
      membership.hear(beat('b'), BROKER_0, 0)
      expect(lookThrough(membership, 0, 1_000)).toHaveLength(1)
      membership.hear(beat('a'), BROKER_0 + step, 1_000)
      expect(lookThrough(membership, 1_000, 4_000)).toEqual([])
    }
  })

  describe('a new leader', () => {
    const past = (
      membership: Membership,
      beats: readonly (readonly [append: number, node: string, final?: boolean])[],
    ) => {
      for (const [append, node, final] of beats) membership.hear(beat(node, final), append, 50_000)
      return lookThrough(membership, 50_000, 50_000)[0]
    }
    /** Several members, so that the log shows steady life. */
    const crowd = (from: number, to: number): [number, string][] =>
      Array.from({ length: Math.floor((to - from) / 500) }, (_, i) => [from + i * 500, `m${i % 10}`])

    test('continues with the next id and names itself, keeping since when the others belong', () => {
      const last = viewWith([{ node_id: 'a', kind: 'sinks', since: 5 }], 900_000)
      expect(past(lead('L', last), [[BROKER_0, 'a']])).toEqual({
        view_id: 8,
        at: BROKER_0,
        leader: 'L',
        members: [{ node_id: 'a', kind: 'sinks', since: 5 }],
      })
    })

    test('finds by the append times who has been silent for the time-out', () => {
      const silent = BROKER_0 - TIMES.timeoutMs - 1_000
      const view = past(lead(), [[silent, 'dead'], ...crowd(silent, BROKER_0 + 1)])
      expect(namesOf(view)).not.toContain('dead')
      expect(view.members).toHaveLength(10)
    })

    test('counts what the log shows of a silence: the rest of the time-out is left', () => {
      const membership = lead()
      const view = past(membership, [[BROKER_0 - 8_000, 'dead'], ...crowd(BROKER_0 - 8_000, BROKER_0 + 1)])
      expect(namesOf(view)).toContain('dead')
      expect(namesOf(lookThrough(membership, 50_000, 51_000)[0])).toBe(undefined)
      expect(namesOf(lookThrough(membership, 51_000, 53_000)[0])).not.toContain('dead')
    })

    test('expires nobody because all were silent: the broker was away', () => {
      const view = past(lead(), [
        [BROKER_0 - 60_000, 'a'],
        [BROKER_0 - 59_000, 'b'],
        [BROKER_0, 'a'],
      ])
      expect(namesOf(view)).toEqual(['b', 'a'].sort())
    })

    test('does not bring back who was gone from the last view, though the log keeps its last heartbeat for ever', () => {
      const last = viewWith([{ node_id: 'a', kind: 'sinks', since: 5 }], BROKER_0)
      const view = past(lead('L', last), [
        [BROKER_0 - 11_000, 'killed'],
        [BROKER_0 - 1_000, 'a'],
        [BROKER_0 - 10, 'new'],
      ])
      expect(namesOf(view)).toEqual(['a', 'new'])
    })

    test('does not keep the old beginning of a member that left after the last view and came again', () => {
      const last = viewWith([{ node_id: 'a', kind: 'sinks', since: 5 }], BROKER_0 - 1_000)
      const view = past(lead('L', last), [
        [BROKER_0 - 500, 'a', true],
        [BROKER_0, 'a'],
      ])
      expect(view.members).toEqual([{ node_id: 'a', kind: 'sinks', since: BROKER_0 }])
    })

    test('names members by how long they belong, however the log has them, those of one time by their names', () => {
      const old = (node_id: string, since: number): Member => ({ node_id, kind: 'sinks', since })
      const members = [old('z', 5), old('c', 9), old('d', 9), old('a', 12)]
      const view = past(lead('L', viewWith(members, 900_000)), [
        [BROKER_0, 'a'],
        [BROKER_0 + 1, 'd'],
        [BROKER_0 + 2, 'c'],
        [BROKER_0 + 3, 'z'],
      ])
      expect(view.members).toEqual(members)
    })

    test('keeps the beginning of a member that had left and come again before the last view', () => {
      const last = viewWith([{ node_id: 'a', kind: 'sinks', since: BROKER_0 - 60_000 }], BROKER_0 - 1_000)
      const view = past(lead('L', last), [
        [BROKER_0 - 70_000, 'a', true],
        [BROKER_0, 'a'],
      ])
      expect(view.members).toEqual(last.members)
    })

    test('publishes nothing when it led before and nothing has changed', () => {
      const last = viewWith([{ node_id: 'a', kind: 'sinks', since: 5 }], 900_000, 'L')
      expect(past(lead('L', last), [[BROKER_0, 'a']])).toBe(undefined)
    })
  })

  test('the table is bounded, and what cannot be shown is passed over', () => {
    const membership = lead()
    for (const one of [beat(''), beat('x'.repeat(201)), { ...beat('a'), kind: 'k'.repeat(33) }])
      expect(membership.hear(one, BROKER_0, 0)).toBe(false)
    for (let i = 0; i < MEMBERS_MAX; i += 1) expect(membership.hear(beat(`n${i}`), BROKER_0, 0)).toBe(true)
    expect(membership.hear(beat('one-more'), BROKER_0, 0)).toBe(false)
    expect(membership.hear(beat('n0'), BROKER_0, 0)).toBe(true)
    expect(membership.size).toBe(MEMBERS_MAX)
  })
})

interface World {
  readonly offsets: readonly number[]
  readonly dead: readonly { readonly offset: number; readonly lastBeat: number }[]
  readonly outages: readonly { readonly at: number; readonly length: number }[]
  readonly leaders: readonly number[]
  readonly jitter: readonly number[]
}

const world: fc.Arbitrary<World> = fc.record({
  offsets: fc.array(fc.nat(4_999), { minLength: 1, maxLength: 4 }),
  dead: fc.array(fc.record({ offset: fc.nat(4_999), lastBeat: fc.nat(6) }), { maxLength: 3 }),
  outages: fc.array(fc.record({ at: fc.nat(80_000), length: fc.nat(20_000) }), { maxLength: 2 }),
  leaders: fc.array(fc.nat(100_000), { minLength: 1, maxLength: 3 }),
  jitter: fc.array(fc.nat(400), { minLength: 5, maxLength: 5 }),
})
const END_MS = 130_000

/** Heartbeats as the broker appends them: every 5 s; those that fall into an outage follow within a second of its end. */
function logOf({ offsets, dead, outages, jitter }: World): { at: number; node: string }[] {
  const timesOf = (offset: number, count: number, n: number): number[] =>
    Array.from({ length: count }, (_, i) => {
      let at = offset + i * 5_000 + jitter[(i + n) % jitter.length]
      for (const outage of [...outages].sort((a, b) => a.at - b.at))
        if (at >= outage.at && at < outage.at + outage.length) at = outage.at + outage.length + 1 + jitter[n % 5] * 2
      return at
    })
  const living = offsets.flatMap((offset, n) => timesOf(offset, 28, n).map((at) => ({ at, node: `live${n}` })))
  const others = dead.flatMap(({ offset, lastBeat }, n) =>
    timesOf(offset, lastBeat, n).map((at) => ({ at, node: `dead${n}` })),
  )
  return [...living, ...others].sort((a, b) => a.at - b.at)
}

const isAway = ({ outages }: World, at: number): boolean =>
  outages.some((outage) => at >= outage.at && at < outage.at + outage.length)

/** Views of leaders that follow each other; each sees the broker's answers every 100 ms while there are any. */
function batchesOf(given: World): { view: View; at: number; takeover: number }[] {
  const log = logOf(given)
  const takeovers = [...new Set(given.leaders)].sort((a, b) => a - b)
  const views: { view: View; at: number; takeover: number }[] = []
  for (const [n, takeover] of takeovers.entries()) {
    const until = takeovers[n + 1] ?? END_MS
    const membership = lead(`L${n}`, views.at(-1)?.view ?? null)
    let read = 0
    for (let at = takeover; at < until; at += 100) {
      if (isAway(given, at)) continue
      for (; read < log.length && log[read].at <= at; read += 1)
        membership.hear(beat(log[read].node), BROKER_0 + log[read].at, at)
      membership.look(at)
      const view = membership.proposal(at)
      if (view === null) continue
      membership.published(view)
      views.push({ view, at, takeover })
    }
  }
  return views
}

describe('DS-3: over outages and changes of the leader', () => {
  test('who keeps sending heartbeats is in every view once it has joined, and since the same time', () => {
    check(
      fc.property(world, (given) => {
        const since = new Map<string, number>()
        for (const { view } of batchesOf(given)) {
          for (const [node, first] of since)
            expect(view.members.find(({ node_id }) => node_id === node)?.since, `${node} in ${view.view_id}`).toBe(
              first,
            )
          for (const member of view.members)
            if (member.node_id.startsWith('live')) since.set(member.node_id, member.since)
        }
      }),
      500,
    )
  })

  test('who has gone silent is out at last, and ids grow by one over all leaders', () => {
    check(
      fc.property(world, (given) => {
        const views = batchesOf(given)
        expect(views.map(({ view }) => view.view_id)).toEqual(views.map((_, i) => i + 1))
        const quietFrom = Math.max(...given.outages.map(({ at, length }) => at + length), ...given.leaders, 0)
        // Nothing has happened for a time-out and more: the last view must be the living.
        if (
          quietFrom + TIMES.timeoutMs * 2 > END_MS ||
          logOf(given).some(({ at, node }) => node.startsWith('dead') && at > quietFrom)
        )
          return
        const names = views.at(-1)?.view.members.map(({ node_id }) => node_id) ?? []
        expect(names.filter((name) => name.startsWith('dead'))).toEqual([])
      }),
      500,
    )
  })
})
