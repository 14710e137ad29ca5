// File names for any sensor. A name that is valid on every file system is kept; any other is built from
// its harmless characters and a hash of the whole: paths, names that differ only in case or Unicode
// normalization, names that are too long. No plain name contains "~", so the two kinds never collide.
import { createHash } from 'node:crypto'

/** The tenant of a reading that names none; its files are at the top level. */
const DEFAULT_TENANT = 'default'
/** Lower case only: some file systems are case-insensitive. Well below their limit of 255 bytes. */
const PLAIN = /^[a-z0-9](?:[a-z0-9._-]{0,198}[a-z0-9_-])?$/
/** Reserved device names on Windows, whatever the extension. */
const RESERVED = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/
const SLUG_CHARS_MAX = 60
/** 128 bits: nobody can construct two sensors that share a file. */
const HASH_CHARS = 32

/** A path segment that is unique to this name. */
export function safeName(name: string): string {
  if (PLAIN.test(name) && !RESERVED.test(name)) return name
  const slug = name
    .slice(0, SLUG_CHARS_MAX)
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
  return `${slug}~${createHash('sha256').update(name).digest('hex').slice(0, HASH_CHARS)}`
}

/** Path of a sensor's readings below the replica's folder. */
export function orderPath(tenant: string, sensor: string): string {
  const file = `${safeName(sensor)}.csv`
  return tenant === DEFAULT_TENANT ? file : `tenant=${safeName(tenant)}/${file}`
}

/**
 * Path of its late readings: by partition, since offsets in telemetry.late are per partition, and readings of a
 * foreign producer may be in a different partition than their sensor's.
 */
export const latePath = (partition: number, tenant: string, sensor: string): string =>
  `${LATE_FOLDER}/${partition}/${orderPath(tenant, sensor)}`

export const LATE_FOLDER = 'late'

/** Partition of a path below `late/`; null for a path of the order. */
export function partitionOfPath(path: string): number | null {
  const match = /^late\/(\d+)\//.exec(path)
  return match === null ? null : Number(match[1])
}

/** What a replica creates at the top of its folder, besides its state. */
export const isOurs = (entry: string): boolean => /^(?:late|tenant=.+|.+\.csv)$/.test(entry)
