// File names for any sensor. A name that is one on every file system as it stands stays as it is; any other is made of
// what is harmless in it and a hash of the whole: paths, names that differ by case or by the form of their accents
// only, names longer than a file name may be. "~" is in no plain name, so the two kinds never meet.
import { createHash } from 'node:crypto'

/** The tenant of a reading that names none; its files lie at the top. */
const DEFAULT_TENANT = 'default'
/** Lower case only: some file systems do not tell cases apart. Well below the 255 bytes that they take. */
const PLAIN = /^[a-z0-9](?:[a-z0-9._-]{0,198}[a-z0-9_-])?$/
/** Devices on Windows, whatever follows the dot. */
const RESERVED = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/
const SLUG_CHARS_MAX = 60
/** 128 bits: nobody can make two sensors whose files are one. */
const HASH_CHARS = 32

/** A part of a path that stands for this name alone. */
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
 * Path of its late readings: by partition, since a place in telemetry.late is one in its partition, and readings of a
 * foreign producer may be in another one than their sensor's.
 */
export const latePath = (partition: number, tenant: string, sensor: string): string =>
  `${LATE_FOLDER}/${partition}/${orderPath(tenant, sensor)}`

export const LATE_FOLDER = 'late'

/** Partition of a path below `late/`; null for a path of the order. */
export function partitionOfPath(path: string): number | null {
  const match = /^late\/(\d+)\//.exec(path)
  return match === null ? null : Number(match[1])
}

/** What a replica makes at the top of its folder, beside its state. */
export const isOurs = (entry: string): boolean => /^(?:late|tenant=.+|.+\.csv)$/.test(entry)
