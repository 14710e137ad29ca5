// The registry's rules on a state that is built by applying the records that decisions ask for, as the shell does.
import { createHash } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import * as decide from './decide.ts'
import { decodeRecord, encodeRecord } from './records.ts'
import type { Refusal } from './refusal.ts'
import { RegistryState } from './state.ts'

const schema = (...fields: object[]): string => JSON.stringify({ type: 'record', name: 'R', fields })
const A = schema({ name: 'x', type: 'int' })
const A_SPELT_OTHERWISE = `{ "fields": [{"type": {"type": "int"}, "name": "x"}], "name": "R", "type": "record" }`
const B = schema({ name: 'x', type: 'int' }, { name: 'y', type: 'int', default: 0 })
const INCOMPATIBLE = schema({ name: 'x', type: 'string' })

let state: RegistryState
let written: string[]
beforeEach(() => {
  state = new RegistryState((text) => createHash('md5').update(text).digest())
  written = []
})

/** Applies a decision by way of the bytes that would be in the topic. */
function take<T>({ records, answer }: decide.Decision<T>): T {
  for (const record of records) {
    const encoded = encodeRecord(record)
    written.push(`${encoded.key} ${encoded.value}`)
    state.apply(decodeRecord(encoded))
  }
  return answer
}

const register = (subject: string, text: string): number =>
  take(decide.register(state, decide.candidateOf(subject, { schema: text }))).id
const latest = (subject: string) => decide.findVersion(state, subject, 'latest', false)

function refused(work: () => unknown): number {
  try {
    work()
  } catch (error) {
    return (error as Refusal).errorCode
  }
  throw new Error('not refused')
}

describe('registering', () => {
  it('gives one schema one id, however it is spelt and whatever the subject', () => {
    expect([register('s', A), register('s', A_SPELT_OTHERWISE), register('t', A), register('s', B)]).toEqual([
      1, 1, 1, 2,
    ])
    expect(state.versions('s', false).map(({ version }) => version)).toEqual([1, 2])
    expect(state.usesOf(1, false).map(({ subject }) => subject)).toEqual(['s', 't'])
  })

  it('K12: gives one schema one GUID, however it is spelt, and finds it by that while its id is known', () => {
    register('s', A)
    const { guid } = decide.registered(state, decide.candidateOf('s', { schema: A_SPELT_OTHERWISE }))!
    expect(guid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-3[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(decide.register(state, decide.candidateOf('t', { schema: A })).answer).toEqual({ id: 1, guid })
    expect(take(decide.register(state, decide.candidateOf('s', { schema: B }))).guid).not.toBe(guid)
    expect(state.byGuid(guid.toUpperCase())?.id).toBe(1)
    expect(state.byGuid('89791762-2336-4186-9674-299b90a802e2')).toBeUndefined()
    take(decide.deleteVersion(state, 's', '1', false))
    expect(state.byGuid(guid)?.id).toBe(1)
    take(decide.deleteVersion(state, 's', '1', true))
    expect(state.byGuid(guid)).toBeUndefined()
  })

  it('counts ids on from the highest, also after an older one was used again', () => {
    expect([register('s', A), register('s', B), register('t', A)]).toEqual([1, 2, 1])
    expect(register('u', INCOMPATIBLE)).toBe(3)
  })

  it('writes nothing for what is known', () => {
    register('s', A)
    expect(decide.register(state, decide.candidateOf('s', { schema: A })).records).toEqual([])
  })

  it('tells schemas apart by a custom attribute', () => {
    const inWatt = schema({ name: 'x', type: 'int', unit: 'W' })
    expect([register('s', A), register('s', inWatt)]).toEqual([1, 2])
    expect(latest('s').schema).toBe(inWatt)
  })

  it('refuses an incompatible schema with 409, and takes it under NONE', () => {
    register('s', A)
    expect(refused(() => register('s', INCOMPATIBLE))).toBe(409)
    take(decide.setLevel('s', { compatibility: 'none' }))
    expect(register('s', INCOMPATIBLE)).toBe(2)
  })

  it('writes records as Confluent does', () => {
    register('s', A)
    take(decide.setLevel('s', { compatibility: 'FULL' }))
    take(decide.setLevel(null, { compatibility: 'NONE' }))
    take(decide.deleteSubject(state, 's', false))
    take(decide.deleteSubject(state, 's', true))
    expect(written).toEqual([
      `{"keytype":"SCHEMA","subject":"s","version":1,"magic":1} ${JSON.stringify({ subject: 's', version: 1, id: 1, schema: A, deleted: false })}`,
      '{"keytype":"CONFIG","subject":"s","magic":0} {"compatibilityLevel":"FULL"}',
      '{"keytype":"CONFIG","magic":0} {"compatibilityLevel":"NONE"}',
      '{"keytype":"DELETE_SUBJECT","subject":"s","magic":0} {"subject":"s","version":1}',
      '{"keytype":"CONFIG","subject":"s","magic":0} null',
      '{"keytype":"SCHEMA","subject":"s","version":1,"magic":1} null',
    ])
  })

  it.each([
    ['no schema', { schema: '' }, 42201],
    ['another schema type', { schema: A, schemaType: 'PROTOBUF' }, 42201],
    ['references', { schema: A, references: [{ name: 'x', subject: 'y', version: 1 }] }, 42201],
    ['a nameless record', { schema: '{"type":"record","fields":[]}' }, 42201],
    [
      'a schema that is too large',
      { schema: JSON.stringify({ type: 'string', doc: 'x'.repeat(decide.SCHEMA_CHARS_MAX) }) },
      42209,
    ],
    ['no body', undefined, 42201],
  ])('refuses %s', (_what, body, code) => {
    expect(refused(() => decide.candidateOf('s', body))).toBe(code)
  })

  it.each(['', 'a\nb', 'x'.repeat(256)])('refuses the subject %j', (subject) => {
    expect(refused(() => decide.candidateOf(subject, { schema: A }))).toBe(42208)
  })
})

describe('finding', () => {
  it('answers with Confluent’s codes what is not there', () => {
    register('s', A)
    expect(refused(() => decide.findVersion(state, 'none', '1', false))).toBe(40401)
    expect(refused(() => decide.findVersion(state, 's', '2', false))).toBe(40402)
    for (const bad of ['0', 'x', '1.5', '-2', '99999999999', '2147483648'])
      expect(refused(() => decide.findVersion(state, 's', bad, false))).toBe(42202)
    expect(refused(() => decide.lookUp(state, decide.candidateOf('none', { schema: A }), false))).toBe(40401)
    expect(refused(() => decide.lookUp(state, decide.candidateOf('s', { schema: B }), false))).toBe(40403)
    expect(decide.findVersion(state, 's', '-1', false).version).toBe(1)
  })

  it('tests compatibility against one version, and against none', () => {
    register('s', A)
    const test = (subject: string, text: string) =>
      decide.testCompatibility(state, decide.candidateOf(subject, { schema: text }), 'latest')
    expect(test('s', B)).toEqual([])
    expect(test('s', INCOMPATIBLE)).toHaveLength(1)
    expect(test('new', INCOMPATIBLE)).toEqual([])
  })
})

describe('deleting', () => {
  it('is soft first, keeps the id readable, and only then permanent', () => {
    register('s', A)
    register('s', B)
    expect(refused(() => take(decide.deleteSubject(state, 's', true)))).toBe(40405)
    expect(take(decide.deleteSubject(state, 's', false))).toEqual([1, 2])
    expect(state.subjects(false)).toEqual([])
    expect(state.subjects(true)).toEqual(['s'])
    expect(state.byId(1)?.schema).toBe(A)
    expect(refused(() => take(decide.deleteSubject(state, 's', false)))).toBe(40404)
    expect(take(decide.deleteSubject(state, 's', true))).toEqual([1, 2])
    expect(state.byId(1)).toBeUndefined()
    expect(refused(() => take(decide.deleteSubject(state, 's', false)))).toBe(40401)
  })

  it('continues counting versions after soft-deleted ones, and ids after all', () => {
    register('s', A)
    take(decide.deleteSubject(state, 's', false))
    expect(register('s', INCOMPATIBLE)).toBe(2)
    expect(latest('s').version).toBe(2)
    take(decide.deleteVersion(state, 's', '2', false))
    take(decide.deleteVersion(state, 's', '2', true))
    expect(register('s', B)).toBe(3)
  })

  it('of one version says what is missing', () => {
    register('s', A)
    register('s', B)
    expect(refused(() => take(decide.deleteVersion(state, 's', '1', true)))).toBe(40407)
    expect(take(decide.deleteVersion(state, 's', 'latest', false))).toBe(2)
    expect(take(decide.deleteVersion(state, 's', 'latest', false))).toBe(1)
    expect(refused(() => take(decide.deleteVersion(state, 's', '1', false)))).toBe(40406)
  })

  it('of a schema’s last use leaves other subjects their id', () => {
    register('s', A)
    register('t', A)
    take(decide.deleteSubject(state, 's', false))
    take(decide.deleteSubject(state, 's', true))
    expect(state.byId(1)?.subject).toBe('t')
    expect(register('s', A)).toBe(1)
  })
})

describe('levels', () => {
  it('fall back from the subject to all, and from all to BACKWARD', () => {
    take(decide.setLevel(null, { compatibility: 'NONE' }))
    take(decide.setLevel('s', { compatibility: 'FULL' }))
    expect([state.levelFor('s'), state.levelFor('t')]).toEqual(['FULL', 'NONE'])
    expect(take(decide.unsetLevel(state, 's'))).toEqual({ compatibilityLevel: 'FULL' })
    take(decide.unsetLevel(state, null))
    expect(state.levelFor('s')).toBe('BACKWARD')
    expect(refused(() => decide.unsetLevel(state, 's'))).toBe(40401)
    expect(refused(() => decide.setLevel('s', { compatibility: 'SOME' }))).toBe(42203)
  })
})

describe('a topic that Confluent’s registry has written', () => {
  const apply = (key: object, value: object | null) =>
    state.apply(decodeRecord({ key: JSON.stringify(key), value: value === null ? null : JSON.stringify(value) }))

  it('is taken over: unknown members, other kinds of schema, modes and NOOP records', () => {
    apply({ keytype: 'NOOP', magic: 0 }, null)
    apply({ keytype: 'CONFIG', subject: null, magic: 0 }, { compatibilityLevel: 'FULL', alias: 'x' })
    const value = {
      subject: 's',
      version: 3,
      id: 17,
      md5Bytes: 'abc',
      schema: 'syntax = "proto3";',
      schemaType: 'PROTOBUF',
      deleted: false,
    }
    apply({ keytype: 'SCHEMA', subject: 's', version: 3, magic: 1 }, value)
    expect(state.levelFor('s')).toBe('FULL')
    expect(state.byId(17)).toEqual(value)
    expect(register('t', A)).toBe(18)
    apply({ keytype: 'MODE', subject: null, magic: 0 }, { mode: 'READONLY' })
    expect(refused(() => register('t', B))).toBe(42205)
    expect(register('t', A)).toBe(18)
  })

  it('K12: keeps the GUIDs that it has given', () => {
    const guid = '89791762-2336-4186-9674-299B90A802E2'
    apply(
      { keytype: 'SCHEMA', subject: 's', version: 1, magic: 1 },
      { subject: 's', version: 1, id: 4, schema: A, guid },
    )
    expect(state.byGuid(guid)?.id).toBe(4)
    expect(decide.registered(state, decide.candidateOf('s', { schema: A }))?.guid).toBe(guid.toLowerCase())
  })

  it('keeps the first of two schemas under one id', () => {
    register('s', A)
    const claim = { subject: 't', version: 1, id: 1, schema: B, deleted: false }
    expect(apply({ keytype: 'SCHEMA', subject: 't', version: 1, magic: 1 }, claim)).toBe(false)
    expect(state.versions('t', true)).toEqual([])
  })

  it.each([
    ['{}', 'null'],
    ['"x"', 'null'],
  ])('says of the key %s nothing or an error, never a wrong record', (key, value) => {
    try {
      expect(decodeRecord({ key, value })).toEqual({ kind: 'other' })
    } catch (error) {
      expect((error as Error).message).toMatch(/must be objects/)
    }
  })
})
