import avsc from 'avsc'
import { describe, expect, test } from 'vitest'
import { encodeFramed } from './reading.ts'
import { FramedDecoder } from './framed-decoder.ts'
import { loadSchema } from '../../schemas/load.ts'
import { RegistryError } from './register.ts'

const view = loadSchema('view')
/** A later version, with a field more. */
const later = { ...view, fields: [...view.fields, { name: 'note', type: 'string' }] }
const schemas = new Map<number, string>([
  [1, JSON.stringify(view)],
  [2, JSON.stringify(later)],
  [3, JSON.stringify(loadSchema('extent'))],
  [4, '{"type":'],
])
const typeOf = (schema: object): avsc.Type => avsc.Type.forSchema(schema as avsc.Schema)
const record = { view_id: 3, at: 5, leader: 'a', members: [{ node_id: 'ü', kind: 'sinks', since: 1 }] }

function newDecoder(): { decoder: FramedDecoder<typeof record>; asked: number[] } {
  const asked: number[] = []
  const decoder = new FramedDecoder<typeof record>('view', (id) => {
    asked.push(id)
    if (id === 99) return Promise.reject(new RegistryError('REGISTRY_UNREACHABLE', 'away', { retriable: true }))
    return Promise.resolve(schemas.get(id) ?? null)
  })
  return { decoder, asked }
}

describe('decoding by the schema that a value was written with', () => {
  test('reads its own version, and what a later version has added is left out', async () => {
    const { decoder } = newDecoder()
    expect(await decoder.decode(encodeFramed(typeOf(view), 1, record))).toEqual(record)
    expect(await decoder.decode(encodeFramed(typeOf(later), 2, { ...record, note: 'n' }))).toEqual(record)
  })

  test('asks for a schema once', async () => {
    const { decoder, asked } = newDecoder()
    for (let i = 0; i < 3; i += 1) await decoder.decode(encodeFramed(typeOf(view), 1, record))
    expect(asked).toEqual([1])
  })

  test.each([
    ['bytes without a frame', Buffer.from('garbage'), 'NOT_FRAMED'],
    ['an empty value', Buffer.alloc(0), 'NOT_FRAMED'],
    ['a schema that nobody knows', encodeFramed(typeOf(view), 42, record), 'SCHEMA_UNKNOWN'],
    ['another topic’s schema', encodeFramed(typeOf(view), 3, record), 'SCHEMA_UNFIT'],
    ['a schema that is none', encodeFramed(typeOf(view), 4, record), 'SCHEMA_UNFIT'],
    ['a value that ends too early', encodeFramed(typeOf(view), 1, record).subarray(0, -1), 'UNREADABLE'],
    ['bytes after a value', Buffer.concat([encodeFramed(typeOf(view), 1, record), Buffer.from([0])]), 'UNREADABLE'],
  ])('refuses %s', async (_what, value, code) => {
    await expect(newDecoder().decoder.decode(value)).rejects.toMatchObject({ name: 'DecodeError', code })
  })

  test('that the registry is away is another matter than that a schema is unknown, and passes', async () => {
    await expect(newDecoder().decoder.decode(encodeFramed(typeOf(view), 99, record))).rejects.toMatchObject({
      name: 'RegistryError',
      retriable: true,
    })
  })

  test('meets more versions than it keeps, and reads all of them', async () => {
    const decoder = new FramedDecoder<typeof record>('view', () => Promise.resolve(JSON.stringify(view)))
    const decoded = await Promise.all(
      Array.from({ length: 500 }, (_, id) => decoder.decode(encodeFramed(typeOf(view), id % 150, record))),
    )
    expect(decoded.every(({ view_id }) => view_id === 3)).toBe(true)
  })
})
