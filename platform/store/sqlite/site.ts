// The sensors of a site as reads of aggregates need them: who they are, and where each one's tail is, that is the
// rows that are in no rollup yet.
import type { DatabaseSync } from 'node:sqlite'

/** Named values that every statement over the site's sensors is given. */
export type Place = { site: string; tenant: string | null }

/** [from, to] of a sensor's rows that no rollup has; null: every row is in the rollups. */
export interface SiteSensor {
  readonly id: number
  readonly tail: { readonly from: number; readonly to: number } | null
}

export interface Site {
  readonly place: Place
  readonly siteId: number
  readonly sensors: readonly SiteSensor[]
  /** The sensors' tails as disjoint ranges, in order of time. */
  readonly tails: readonly { readonly from: number; readonly to: number }[]
}

/** The site's sensors ss, s; CROSS JOIN so that the site is looked up first. */
export const SENSORS = 'FROM sensor_sites ss CROSS JOIN sensors s ON s.id = ss.sensor_id'
/** True of a row of readings that was taken at the site. */
export const AT_SITE = '(only_site OR source_id IN (SELECT id FROM sources WHERE site = :site))'

/** Null: no sensor ever stood there. */
export function findSite(db: DatabaseSync, { site, tenant }: Place): Site | null {
  const place = { site, tenant }
  const sensors = db
    .prepare(
      `SELECT s.id, (SELECT min(ts) FROM readings WHERE sensor_id = s.id AND ts >= s.rolled_to) AS first,
       (SELECT max(ts) FROM readings WHERE sensor_id = s.id) AS last
       ${SENSORS} WHERE ss.site = :site AND (:tenant IS NULL OR s.tenant = :tenant)`,
    )
    .all(place)
    .map(({ id, first, last }) => ({
      id: Number(id),
      tail: first === null ? null : { from: Number(first), to: Number(last) },
    }))
  if (sensors.length === 0) return null
  const siteId = Number(db.prepare('SELECT id FROM sites WHERE name = ?').get(site)!.id)
  return { place, siteId, sensors, tails: union(sensors.flatMap(({ tail }) => tail ?? [])) }
}

/** True when [from, to) has rows that no rollup has. */
export function tailsMeet({ tails }: Site, from: number, to: number): boolean {
  // The first tail that ends at `from` or later is the only one to look at: the others begin after it.
  let low = 0
  let high = tails.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (tails[middle].to < from) low = middle + 1
    else high = middle
  }
  return low < tails.length && tails[low].from < to
}

function union(ranges: readonly { from: number; to: number }[]): { from: number; to: number }[] {
  const merged: { from: number; to: number }[] = []
  for (const { from, to } of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = merged.at(-1)
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to)
    else merged.push({ from, to })
  }
  return merged
}
