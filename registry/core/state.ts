// What the registry knows: the fold of its topic's records in their order. Nothing else changes it, so a restart, a
// second instance and Confluent's registry reach the same state. The rule that settles conflicts is Confluent's:
// of two different schemas under one id the earlier record holds, and the later is ignored.
import { canonicalText } from './canonical.ts'
import { DEFAULT_LEVEL, levelOf, type Level } from './compatibility.ts'
import type { RegistryRecord, SchemaValue } from './records.ts'

interface Subject {
  readonly versions: Map<number, SchemaValue>
}

export class RegistryState {
  readonly #subjects = new Map<string, Subject>()
  readonly #byId = new Map<number, SchemaValue>()
  readonly #idByContent = new Map<string, number>()
  readonly #idByGuid = new Map<string, number>()
  readonly #levels = new Map<string | null, Level>()
  readonly #modes = new Map<string | null, string>()
  readonly #md5: (text: string) => Uint8Array
  #lastId = 0

  constructor(md5: (text: string) => Uint8Array) {
    this.#md5 = md5
  }

  /** Takes in the topic's next record. Returns false when the record conflicts with an earlier one and is ignored. */
  apply(record: RegistryRecord): boolean {
    switch (record.kind) {
      case 'schema':
        return record.value === null ? this.#forget(record.subject, record.version) : this.#keep(record.value)
      case 'delete-subject':
        for (const value of this.versions(record.subject, true)) {
          if (value.version <= record.upTo) this.#replace({ ...value, deleted: true })
        }
        return true
      case 'config': {
        const level = levelOf(record.level)
        if (level === null) this.#levels.delete(record.subject)
        else this.#levels.set(record.subject, level)
        return true
      }
      case 'mode':
        if (record.mode === null) this.#modes.delete(record.subject)
        else this.#modes.set(record.subject, record.mode)
        return true
      case 'other':
        return true
    }
  }

  /** Names of subjects with at least one version, in order. */
  subjects(deletedToo: boolean): string[] {
    return [...this.#subjects.keys()].filter((name) => this.versions(name, deletedToo).length > 0).sort()
  }

  /** A subject's versions, oldest first; empty if there are none. */
  versions(subject: string, deletedToo: boolean): SchemaValue[] {
    const versions = [...(this.#subjects.get(subject)?.versions.values() ?? [])]
    return versions.filter((value) => deletedToo || value.deleted !== true).sort((a, b) => a.version - b.version)
  }

  version(subject: string, version: number): SchemaValue | undefined {
    return this.#subjects.get(subject)?.versions.get(version)
  }

  /** Also finds what was soft-deleted: data written with it are still there. */
  byId(id: number): SchemaValue | undefined {
    return this.#byId.get(id)
  }

  /** Every version, of whatever subject, that has this id. */
  usesOf(id: number, deletedToo: boolean): SchemaValue[] {
    return this.subjects(deletedToo).flatMap((name) =>
      this.versions(name, deletedToo).filter((value) => value.id === id),
    )
  }

  /** The id under which this schema is known in any subject. */
  idOf(canonical: string): number | undefined {
    return this.#idByContent.get(canonical)
  }

  /** Also finds what was soft-deleted. @param guid in any case */
  byGuid(guid: string): SchemaValue | undefined {
    const id = this.#idByGuid.get(guid.toLowerCase())
    return id === undefined ? undefined : this.#byId.get(id)
  }

  /**
   * The GUID by which newer serializers name a schema in a header. Confluent's registry keeps it in the record; where there
   * is none it is a name-based one (RFC 9562, version 3) of the content, so that every instance gives the same.
   */
  guidOf(value: SchemaValue): string {
    if (typeof value.guid === 'string') return value.guid.toLowerCase()
    const hash = this.#md5(contentOf(value)).slice()
    hash[6] = (hash[6] & 0x0f) | 0x30
    hash[8] = (hash[8] & 0x3f) | 0x80
    const hex = [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('')
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
  }

  get nextId(): number {
    return this.#lastId + 1
  }

  /** The level set for exactly this subject (null: for all); undefined if none is set. */
  ownLevel(subject: string | null): Level | undefined {
    return this.#levels.get(subject)
  }

  /** The level that holds for a subject. */
  levelFor(subject: string): Level {
    return this.ownLevel(subject) ?? this.ownLevel(null) ?? DEFAULT_LEVEL
  }

  modeFor(subject: string | null): string {
    return this.#modes.get(subject) ?? this.#modes.get(null) ?? 'READWRITE'
  }

  #keep(value: SchemaValue): boolean {
    const known = this.#byId.get(value.id)
    if (known !== undefined && contentOf(known) !== contentOf(value)) return false
    this.#lastId = Math.max(this.#lastId, value.id)
    this.#replace(value)
    const content = contentOf(value)
    if (!this.#idByContent.has(content)) this.#idByContent.set(content, value.id)
    const guid = this.guidOf(value)
    if (!this.#idByGuid.has(guid)) this.#idByGuid.set(guid, value.id)
    return true
  }

  #replace(value: SchemaValue): void {
    const subject = this.#subjects.get(value.subject) ?? { versions: new Map<number, SchemaValue>() }
    this.#subjects.set(value.subject, subject)
    subject.versions.set(value.version, value)
    this.#byId.set(value.id, value)
  }

  /** A tombstone: deleted for good. The id is forgotten with its last use, but not given out again by this process. */
  #forget(name: string, version: number): boolean {
    const subject = this.#subjects.get(name)
    const value = subject?.versions.get(version)
    if (subject === undefined || value === undefined) return true
    subject.versions.delete(version)
    if (subject.versions.size === 0) this.#subjects.delete(name)
    const [other] = this.usesOf(value.id, true)
    if (other === undefined) {
      this.#byId.delete(value.id)
      this.#idByContent.delete(contentOf(value))
      this.#idByGuid.delete(this.guidOf(value))
    } else this.#byId.set(value.id, other)
    return true
  }
}

/** What makes two schemas the same: the canonical text, and for kinds that we only keep, everything that counts. */
export function contentOf({ schema, schemaType = 'AVRO', references = [] }: SchemaValue): string {
  if (schemaType !== 'AVRO' || references.length > 0) return JSON.stringify([schemaType, schema, references])
  try {
    return canonicalText(schema)
  } catch {
    // Another registry let it in; it is served as it is and equals only itself.
    return schema
  }
}
