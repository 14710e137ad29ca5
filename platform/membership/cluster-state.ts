// What is known of the cluster, as a value that the records of three topics change: views by the leader, heartbeats by
// the members, acknowledgements of the configuration by those that apply it. Pure: the time is an argument, and it is
// the broker's. Everything has a bound; what exceeds it is forgotten, oldest first.
import type { ConfigAck } from '../runtime-config/codec.ts'
import type { Heartbeat } from './heartbeat.ts'

/** As many as the leader keeps. */
const VIEWS_MAX = 1_000
/** Over all views: some 30 MB. With thousands of nodes that is fewer views. */
const VIEW_MEMBERS_MAX = 200_000
/** Twice the nodes that one process may simulate. */
const HEARD_MAX = 20_000

export interface View {
  readonly view_id: number
  readonly at: number
  readonly leader: string
  readonly members: readonly { readonly node_id: string; readonly kind: string; readonly since: number }[]
}

interface Heard {
  readonly heartbeat: Heartbeat
  /** Broker's time of its append, ms. */
  readonly atMs: number
}

/** The latest heartbeat of a member; its age is by the broker's clock. */
export interface HeardMember extends Pick<Heartbeat, 'final' | 'degraded' | 'sensors' | 'accepted' | 'acknowledged'> {
  readonly at: number
  readonly age_ms: number
  /** Null for members that sample nothing. */
  readonly diagnostics: Heartbeat['diagnostics'] | null
}

export interface MemberState {
  readonly node_id: string
  readonly kind: string
  readonly since: number
  /** Null: none is known. */
  readonly heartbeat: HeardMember | null
  /** By acknowledgement or heartbeat, whichever is later; null: neither is known. */
  readonly config_version: number | null
  /** Why a newer version was refused; null: it was not. */
  readonly config_refused: string | null
}

export interface CurrentView extends Omit<View, 'members'> {
  readonly members: readonly MemberState[]
}

/** A member that applies configuration and was heard of in time. */
export interface ApplyingMember {
  readonly node_id: string
  readonly kind: string
  readonly version: number
  /** Why a newer version was refused; null: it was not. */
  readonly refused: string | null
}

/** Kinds of members that apply configuration. */
const APPLYING: ReadonlySet<string> = new Set(['producer', 'stream-jobs'])

/** Nodes and the HTTP door of their process have a log and readings; for others the numbers mean nothing. */
const SAMPLING: ReadonlySet<string> = new Set(['producer', 'ingest'])

export class ClusterState {
  /** By id, in the order of publication; one that is published again moves to the end. */
  readonly #views = new Map<number, View>()
  #viewMembers = 0
  /** By member, longest silent first. */
  readonly #heard = new Map<string, Heard>()
  readonly #acks = new Map<string, ConfigAck>()

  /** @param key of the record, the view's id as text; a null view removes it */
  setView(key: string, view: View | null): void {
    this.#dropView(view?.view_id ?? Number(key))
    if (view === null) return
    this.#views.set(view.view_id, view)
    this.#viewMembers += view.members.length
    for (const id of this.#views.keys()) {
      if (this.#views.size <= VIEWS_MAX && (this.#viewMembers <= VIEW_MEMBERS_MAX || this.#views.size === 1)) break
      this.#dropView(id)
    }
  }

  setHeartbeat(key: string, heartbeat: Heartbeat | null, atMs: number): void {
    replace(this.#heard, key, heartbeat === null ? null : { heartbeat, atMs })
  }

  setAck(key: string, ack: ConfigAck | null): void {
    replace(this.#acks, key, ack)
  }

  clearViews(): void {
    this.#views.clear()
    this.#viewMembers = 0
  }

  clearHeartbeats(): void {
    this.#heard.clear()
  }

  clearAcks(): void {
    this.#acks.clear()
  }

  /** The latest view, with what is known of its members; null: there is none. */
  current(nowMs: number): CurrentView | null {
    const view = [...this.#views.values()].at(-1)
    if (view === undefined) return null
    return { ...view, members: view.members.map((member) => ({ ...member, ...this.#stateOf(member.node_id, nowMs) })) }
  }

  /** Views before the current one, newest first. */
  earlier(limit: number): View[] {
    const views = [...this.#views.values()]
    return views.slice(Math.max(0, views.length - 1 - limit), -1).reverse()
  }

  /** Who applies configuration and was heard of in time, by name; a view would show a change only when the leader has published it. */
  applying(nowMs: number, timeoutMs: number): ApplyingMember[] {
    return [...this.#heard.values()]
      .filter(({ heartbeat: { kind, final }, atMs }) => APPLYING.has(kind) && !final && nowMs - atMs <= timeoutMs)
      .map(({ heartbeat: { node_id, kind } }) => ({ node_id, kind, ...this.#configOf(node_id)! }))
      .sort((a, b) => (a.node_id < b.node_id ? -1 : 1))
  }

  /** Members that have been silent since before `beforeMs`, longest silent first. */
  silentSince(beforeMs: number, limit: number): string[] {
    const silent: string[] = []
    for (const [id, { atMs }] of this.#heard) {
      if (atMs >= beforeMs || silent.length >= limit) break
      silent.push(id)
    }
    return silent
  }

  hasAck(memberId: string): boolean {
    return this.#acks.has(memberId)
  }

  #stateOf(id: string, nowMs: number): Omit<MemberState, 'node_id' | 'kind' | 'since'> {
    const heard = this.#heard.get(id)
    const config = this.#configOf(id)
    return {
      heartbeat: heard === undefined ? null : shown(heard, nowMs),
      config_version: config?.version ?? null,
      config_refused: config?.refused ?? null,
    }
  }

  /** The later of acknowledgement and heartbeat, by the member's own clock: a restarted node starts over. */
  #configOf(id: string): Pick<ApplyingMember, 'version' | 'refused'> | null {
    const heartbeat = this.#heard.get(id)?.heartbeat
    const ack = this.#acks.get(id)
    if (
      ack !== undefined &&
      (heartbeat === undefined || heartbeat.at <= ack.at || heartbeat.config_version === ack.version)
    )
      // prettier-ignore
      return { version: ack.version, refused: ack.refused }
    return heartbeat === undefined ? null : { version: heartbeat.config_version, refused: null }
  }

  #dropView(id: number): void {
    this.#viewMembers -= this.#views.get(id)?.members.length ?? 0
    this.#views.delete(id)
  }
}

function shown({ heartbeat, atMs }: Heard, nowMs: number): HeardMember {
  const { kind, final, degraded, sensors, accepted, acknowledged, diagnostics } = heartbeat
  return {
    at: atMs,
    age_ms: Math.max(0, nowMs - atMs),
    final,
    degraded,
    sensors,
    accepted,
    acknowledged,
    diagnostics: SAMPLING.has(kind) ? { ...diagnostics } : null,
  }
}

/** Puts a value at the end of the map, or removes it when it is null; beyond the bound the first entry is dropped. */
function replace<T>(map: Map<string, T>, key: string, value: T | null): void {
  map.delete(key)
  if (value === null) return
  map.set(key, value)
  if (map.size > HEARD_MAX) map.delete(map.keys().next().value!)
}
