// The registry's decisions: from the state and a request to the records that have to be written, and the answer that
// holds once they are. Nothing is written where the request is already fulfilled, so every request may be repeated.
import { checkDepth, checkWork } from './bounds.ts'
import { canonicalText } from './canonical.ts'
import { avroType, DEFAULT_LEVEL, incompatibilities, levelOf, type Level } from './compatibility.ts'
import type { RegistryRecord, SchemaValue } from './records.ts'
import * as refuse from './refusal.ts'
import { contentOf, type RegistryState } from './state.ts'

export interface Decision<T> {
  readonly records: readonly Exclude<RegistryRecord, { kind: 'other' | 'mode' }>[]
  readonly answer: T
}

/** A request's schema after all checks that need no state. */
export interface Candidate {
  readonly subject: string
  readonly canonical: string
}

/** Half of what a record may take on the broker by default: JSON in JSON doubles its quotes. */
export const SCHEMA_CHARS_MAX = 400_000
const SUBJECT_CHARS_MAX = 255
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f]/
const VERSION_MAX = 2 ** 31 - 1

/** @throws Refusal 42208 */
export function checkSubject(subject: string): string {
  // Clients remove "." and ".." from a path: nobody could ask for them.
  if (subject === '.' || subject === '..') throw refuse.invalidSubject(subject)
  if (subject === '' || subject.length > SUBJECT_CHARS_MAX || CONTROL_CHARACTERS.test(subject))
    throw refuse.invalidSubject(subject)
  return subject
}

/**
 * @param body the request's JSON: `schema`, and optionally `schemaType` and `references`
 * @throws Refusal 42201, 42208, 42209
 */
export function candidateOf(subject: string, body: unknown): Candidate {
  const { schema, schemaType = 'AVRO', references = [] } = (body ?? {}) as Record<string, unknown>
  if (typeof schema !== 'string' || schema === '') throw refuse.invalidSchema('"schema" must be the schema as a string')
  if (schema.length > SCHEMA_CHARS_MAX) throw refuse.schemaTooLarge(schema.length, SCHEMA_CHARS_MAX)
  if (schemaType !== 'AVRO')
    throw refuse.invalidSchema(`"schemaType" is ${JSON.stringify(schemaType)}; only AVRO is served here`)
  if (!Array.isArray(references) || references.length > 0)
    throw refuse.invalidSchema('"references" are not served here')
  checkDepth(schema)
  avroType(schema)
  checkWork(schema)
  return { subject: checkSubject(subject), canonical: canonicalOf(schema) }
}

function canonicalOf(schema: string): string {
  try {
    return canonicalText(schema)
  } catch (error) {
    throw refuse.invalidSchema((error as Error).message)
  }
}

/** What registering a schema answers: serializers that name schemas in a header take the GUID from here. */
export interface Registered {
  readonly id: number
  readonly guid: string
}

/** What registering a schema answers that is registered already; null: it is not. */
export function registered(state: RegistryState, { subject, canonical }: Candidate): Registered | null {
  const known = state.versions(subject, false).find((value) => contentOf(value) === canonical)
  return known === undefined ? null : { id: known.id, guid: state.guidOf(known) }
}

/** Registers a schema: its existing id if it is known, otherwise a new version. */
export function register(state: RegistryState, candidate: Candidate): Decision<Registered> {
  const known = registered(state, candidate)
  if (known !== null) return { records: [], answer: known }
  const { subject, canonical } = candidate
  const active = state.versions(subject, false)
  if (state.modeFor(subject).startsWith('READONLY')) throw refuse.readOnly(subject)
  const reasons = incompatibilities(state.levelFor(subject), canonical, active.map(contentOf))
  if (reasons.length > 0) throw refuse.incompatible(subject, reasons)
  const id = state.idOf(canonical) ?? state.nextId
  // Versions of soft-deleted schemas are not given out again.
  const version = (state.versions(subject, true).at(-1)?.version ?? 0) + 1
  const value: SchemaValue = { subject, version, id, schema: canonical, deleted: false }
  return { records: [{ kind: 'schema', subject, version, value }], answer: { id, guid: state.guidOf(value) } }
}

/** The version under which a subject holds this schema. */
export function lookUp(state: RegistryState, { subject, canonical }: Candidate, deletedToo: boolean): SchemaValue {
  const versions = state.versions(subject, deletedToo)
  if (versions.length === 0) throw refuse.subjectNotFound(subject)
  const found = versions.find((value) => contentOf(value) === canonical)
  if (found === undefined) throw refuse.schemaNotFound()
  return found
}

/**
 * @param version a number, `latest` or `-1`
 * @throws Refusal 42202, 40401, 40402
 */
export function findVersion(state: RegistryState, subject: string, version: string, deletedToo: boolean): SchemaValue {
  const number = versionNumber(version)
  const versions = state.versions(subject, deletedToo)
  if (versions.length === 0) throw refuse.subjectNotFound(subject)
  const found = number === 'latest' ? versions.at(-1) : versions.find((value) => value.version === number)
  if (found === undefined) throw refuse.versionNotFound(version)
  return found
}

function versionNumber(version: string): number | 'latest' {
  if (version === 'latest' || version === '-1') return 'latest'
  const number = /^\d{1,10}$/.test(version) ? Number(version) : 0
  if (number < 1 || number > VERSION_MAX) throw refuse.invalidVersion(version)
  return number
}

/** Why a schema could not follow this one version; empty when it could. A subject without versions takes anything. */
export function testCompatibility(state: RegistryState, { subject, canonical }: Candidate, version: string): string[] {
  const number = versionNumber(version)
  if (number === 'latest' && state.versions(subject, false).length === 0) return []
  const against = contentOf(findVersion(state, subject, version, false))
  return incompatibilities(state.levelFor(subject), canonical, [against])
}

/** Soft: the versions no longer count but can be read by id. Permanent, only after soft: they are gone. */
export function deleteSubject(state: RegistryState, subject: string, permanent: boolean): Decision<number[]> {
  const all = state.versions(subject, true)
  const active = state.versions(subject, false)
  if (all.length === 0) throw refuse.subjectNotFound(subject)
  if (permanent && active.length > 0) throw refuse.subjectNotSoftDeleted(subject)
  if (!permanent && active.length === 0) throw refuse.subjectSoftDeleted(subject)
  if (permanent) {
    const records = all.map(({ version }) => ({ kind: 'schema' as const, subject, version, value: null }))
    return { records, answer: all.map(({ version }) => version) }
  }
  const upTo = all[all.length - 1].version
  const config = state.ownLevel(subject) === undefined ? [] : [{ kind: 'config' as const, subject, level: null }]
  return {
    records: [{ kind: 'delete-subject', subject, upTo }, ...config],
    answer: active.map(({ version }) => version),
  }
}

export function deleteVersion(
  state: RegistryState,
  subject: string,
  version: string,
  permanent: boolean,
): Decision<number> {
  // The latest version is the latest that still counts; a number may also name a soft-deleted one.
  const value = findVersion(state, subject, version, permanent || versionNumber(version) !== 'latest')
  const number = value.version
  if (permanent) {
    if (value.deleted !== true) throw refuse.versionNotSoftDeleted(subject, number)
    return { records: [{ kind: 'schema', subject, version: number, value: null }], answer: number }
  }
  if (value.deleted === true) throw refuse.versionSoftDeleted(subject, number)
  return { records: [{ kind: 'schema', subject, version: number, value: { ...value, deleted: true } }], answer: number }
}

/** @param subject null: the level for all subjects that have none of their own */
export function setLevel(subject: string | null, body: unknown): Decision<{ compatibility: Level }> {
  const level = levelOf((body as { compatibility?: unknown } | null | undefined)?.compatibility)
  if (level === null) throw refuse.invalidLevel()
  if (subject !== null) checkSubject(subject)
  return { records: [{ kind: 'config', subject, level }], answer: { compatibility: level } }
}

/** Falls back to the level for all (or, for all, to BACKWARD); answers the level that was set. */
export function unsetLevel(state: RegistryState, subject: string | null): Decision<{ compatibilityLevel: Level }> {
  const own = state.ownLevel(subject)
  if (own !== undefined)
    return { records: [{ kind: 'config', subject, level: null }], answer: { compatibilityLevel: own } }
  if (subject !== null) throw refuse.subjectNotFound(subject)
  return { records: [], answer: { compatibilityLevel: DEFAULT_LEVEL } }
}
