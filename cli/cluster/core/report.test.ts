import { describe, expect, test } from 'vitest'
import { type ClusterAnswer, renderChange, renderCluster, renderViews } from './report.ts'

const beat = { age_ms: 1_200, final: false, degraded: false, diagnostics: null }
const member = (node_id: string, kind = 'sinks') => ({
  ...{ node_id, kind, since: 0, heartbeat: beat },
  ...{ config_version: 3, config_refused: null },
})
const view = (view_id: number, leader: string, ...ids: string[]) => ({
  ...{ view_id, at: 1_000, leader },
  members: ids.map((id) => member(id)),
})
const answer = (given: ClusterAnswer['view']): ClusterAnswer => ({ as_of: 61_000, staleness_ms: 3, view: given })

describe('the cluster as text', () => {
  test('names every member with its heartbeat, its configuration and what is the matter', () => {
    const low = { ...beat, degraded: true, diagnostics: { rail_low: true } }
    const text = renderCluster(
      answer({
        ...{ view_id: 7, at: 1_000, leader: 'a' },
        members: [
          member('a'),
          { ...member('node-0001', 'producer'), heartbeat: low, config_refused: 'too much' },
          { ...member('b'), heartbeat: { ...beat, final: true } },
          { ...member('c'), heartbeat: null, config_version: null },
        ],
      }),
    )
    expect(text).toMatch(/^view 7 .* leader a · 4 members\n/)
    expect(text).toMatch(/^a \(leader\) +sinks +1 min 1 s +1 s ago +3 +ok$/m)
    expect(text).toMatch(/^node-0001 .* degraded, rail low, refused a configuration: too much$/m)
    expect(text).toMatch(/^b .* has left$/m)
    expect(text).toMatch(/^c .* – +– +not heard of$/m)
  })

  test('says that there is no view yet, and how old it is when the broker does not answer', () => {
    expect(renderCluster(answer(null))).toContain('no view')
    expect(renderCluster({ ...answer(view(1, 'a', 'a')), staleness_ms: 60_000 })).toContain('as it was 1 min 0 s ago')
  })

  test('says of each view what it changed, but for the one before the oldest that is shown', () => {
    const views = [view(4, 'b', 'b', 'c'), view(3, 'a', 'a', 'b'), view(2, 'a', 'a')]
    expect(renderViews(views, 2).split('\n')).toEqual([
      'view 4 · 1970-01-01T00:00:01.000Z · leader b · 2 members · new leader +c -a',
      'view 3 · 1970-01-01T00:00:01.000Z · leader a · 2 members · +b',
    ])
  })

  test('a name can neither make a line of its own nor steer the terminal', () => {
    const text = renderChange(view(1, 'a', 'a'), view(2, 'a', 'a', 'x\n\u001b[2Jview 9'))
    expect(text).toBe('view 2 · 1970-01-01T00:00:01.000Z · leader a · 2 members · +x\\n\\u001b[2Jview 9')
  })
})
