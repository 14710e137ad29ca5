// The cluster's views as text: a table of the members, and what a view changed from the previous one. Pure.
import { escapeLine } from '../../core/decode.ts'
import { showDuration } from '../../../platform/duration.ts'
import { renderTable } from '../../core/table.ts'

export interface MemberAnswer {
  readonly node_id: string
  readonly kind: string
  readonly since: number
  readonly heartbeat: {
    readonly age_ms: number
    readonly final: boolean
    readonly degraded: boolean
    readonly diagnostics: Readonly<Record<string, number | boolean>> | null
  } | null
  readonly config_version: number | null
  readonly config_refused: string | null
}

/** The answer of GET /cluster/views. */
export interface ViewAnswer {
  readonly view_id: number
  readonly at: number
  readonly leader: string
  readonly members: readonly Pick<MemberAnswer, 'node_id' | 'kind'>[]
}

/** The answer of GET /cluster. */
export interface ClusterAnswer {
  readonly as_of: number
  readonly staleness_ms: number
  readonly view: (Omit<ViewAnswer, 'members'> & { readonly members: readonly MemberAnswer[] }) | null
}

/** Anything older is pointed out: the broker has been down. */
const STALE_MS = 5_000
const NO_VIEW = 'no view has been published yet: the active sequencer of the stream jobs does that'

export function renderCluster({ as_of, staleness_ms, view }: ClusterAnswer): string {
  const stale =
    staleness_ms > STALE_MS ? `\nas it was ${showDuration(staleness_ms)} ago: the broker does not answer` : ''
  if (view === null) return `${NO_VIEW}${stale}`
  const table = renderTable(
    ['member', 'kind', 'member for', 'heartbeat', 'config', 'state'],
    view.members.map((member) => [
      escapeLine(member.node_id) + (member.node_id === view.leader ? ' (leader)' : ''),
      escapeLine(member.kind),
      showDuration(Math.max(0, as_of - member.since)),
      member.heartbeat === null ? '–' : `${showDuration(member.heartbeat.age_ms)} ago`,
      member.config_version === null ? '–' : String(member.config_version),
      escapeLine(stateOf(member)),
    ]),
    ['left', 'left', 'right', 'right', 'right', 'left'],
  )
  return `${headOf(view)} · ${view.members.length} members${stale}\n\n${table}`
}

/** @param views newest first, one more than `limit` where there are more: what each of them changed, except that one */
export function renderViews(views: readonly ViewAnswer[], limit: number): string {
  return views
    .slice(0, limit)
    .map((view, i) => renderChange(views[i + 1] ?? null, view))
    .join('\n')
}

/** One view on one line, with what it changed. @param before null: not known */
export function renderChange(before: ViewAnswer | null, view: ViewAnswer): string {
  if (before === null) return `${headOf(view)} · ${view.members.length} members`
  const former = new Set(before.members.map(({ node_id }) => node_id))
  const present = new Set(view.members.map(({ node_id }) => node_id))
  const joined = view.members.filter(({ node_id }) => !former.has(node_id)).map(({ node_id }) => `+${node_id}`)
  const left = before.members.filter(({ node_id }) => !present.has(node_id)).map(({ node_id }) => `-${node_id}`)
  const leader = before.leader === view.leader ? [] : ['new leader']
  const changes = listed([...leader, ...joined, ...left])
  return `${headOf(view)} · ${view.members.length} members · ${escapeLine(changes)}`
}

const CHANGES_SHOWN = 12

function listed(changes: readonly string[]): string {
  const more = changes.length - CHANGES_SHOWN
  return changes.slice(0, CHANGES_SHOWN).join(' ') + (more > 0 ? ` and ${more} more` : '')
}

const headOf = ({ view_id, at, leader }: Omit<ViewAnswer, 'members'>): string =>
  `view ${view_id} · ${new Date(at).toISOString()} · leader ${escapeLine(leader)}`

function stateOf({ heartbeat, config_refused }: MemberAnswer): string {
  const said = [
    ...(heartbeat === null ? ['not heard of'] : []),
    ...(heartbeat?.final === true ? ['has left'] : []),
    ...(heartbeat?.degraded === true ? ['degraded'] : []),
    ...(heartbeat?.diagnostics?.rail_low === true ? ['rail low'] : []),
    ...(config_refused === null ? [] : [`refused a configuration: ${config_refused}`]),
  ]
  return said.length === 0 ? 'ok' : said.join(', ')
}
