import { describe, expect, test } from 'vitest'
import { ClusterState, type View } from './cluster-state.ts'
import { plainHeartbeat, type Heartbeat, type MemberKind } from './heartbeat.ts'

const beat = (node_id: string, more: Partial<Heartbeat> = {}): Heartbeat => ({
  ...plainHeartbeat({ node_id, kind: 'sinks', at: 0, mono_ms: 0, final: false }),
  ...more,
})
const ack = (node_id: string, version: number, refused: string | null = null) => ({
  ...{ node_id, kind: 'producer', version, at: 0, refused },
})
const view = (view_id: number, ids: readonly string[] = ['a'], kind: MemberKind = 'sinks'): View => ({
  ...{ view_id, at: view_id * 10, leader: 'a' },
  members: ids.map((node_id) => ({ node_id, kind, since: 1 })),
})
const set = (state: ClusterState, ...views: View[]): void =>
  views.forEach((one) => state.setView(String(one.view_id), one))

describe('the state of the cluster', () => {
  test('DS-3: the view published last is the current one, its members in its order, with what is known of each', () => {
    const state = new ClusterState()
    expect(state.current(0)).toBeNull()
    set(state, view(1), view(2, ['b', 'a', 'c'], 'producer'))
    state.setHeartbeat('a', beat('a', { kind: 'producer', degraded: true, config_version: 2, sensors: 5 }), 900)
    state.setHeartbeat('b', beat('b', { final: true, config_version: 2 }), 1_100)
    state.setAck('b', ack('b', 4, 'why'))
    const current = state.current(1_000)!
    expect(current).toMatchObject({ view_id: 2, at: 20, leader: 'a' })
    expect(current.members).toMatchObject([
      { node_id: 'b', config_version: 4, config_refused: 'why', heartbeat: { final: true, age_ms: 0 } },
      { node_id: 'a', since: 1, config_version: 2, heartbeat: { at: 900, age_ms: 100, degraded: true, sensors: 5 } },
      { node_id: 'c', config_version: null, heartbeat: null },
    ])
    expect(current.members[0].heartbeat!.diagnostics).toBeNull()
    expect(current.members[1].heartbeat!.diagnostics).toMatchObject({ rail_low: false })
  })

  test('earlier views come newest first, without the current one; what the leader removes is gone', () => {
    const state = new ClusterState()
    set(state, view(1), view(2), view(3), view(4))
    expect(state.earlier(2).map(({ view_id }) => view_id)).toEqual([3, 2])
    expect(state.earlier(10).map(({ view_id }) => view_id)).toEqual([3, 2, 1])
    state.setView('2', null)
    state.setView('none of ours', null)
    expect(state.earlier(10).map(({ view_id }) => view_id)).toEqual([3, 1])
    // A recreated log starts over; and a view that is published twice counts at its last position.
    set(state, view(1))
    expect(state.current(0)!.view_id).toBe(1)
  })

  test('a thousand views are kept, fewer when they name many members, and always the last', () => {
    const state = new ClusterState()
    for (let id = 1; id <= 1_500; id += 1) set(state, view(id))
    expect(state.earlier(5_000)).toHaveLength(999)
    const many = Array.from({ length: 90_000 }, (_, i) => `n${i}`)
    set(state, view(1_501, many), view(1_502, many), view(1_503, many))
    expect(state.earlier(10).map(({ view_id }) => view_id)).toEqual([1_502])
    set(state, view(1_504, [...many, ...many, ...many]))
    expect(state.earlier(10)).toEqual([])
    expect(state.current(0)!.view_id).toBe(1_504)
    set(state, view(1_505))
    expect(state.current(0)!.view_id).toBe(1_505)
  })

  test('the silent are found by their last heartbeat, those that speak again are not, and there is a bound on all', () => {
    const state = new ClusterState()
    for (const [i, id] of ['a', 'b', 'c', 'd'].entries()) state.setHeartbeat(id, beat(id), i * 100)
    state.setHeartbeat('a', beat('a'), 500)
    state.setHeartbeat('c', null, 0)
    expect(state.silentSince(400, 10)).toEqual(['b', 'd'])
    expect(state.silentSince(400, 1)).toEqual(['b'])
    for (let i = 0; i < 25_000; i += 1) state.setHeartbeat(`n${i}`, beat(`n${i}`), 600)
    expect(state.silentSince(Infinity, Infinity)).toHaveLength(20_000)
  })
})
