import { expect, test } from 'vitest'
import { framingProblem } from './framing.ts'

test('K10: a schema GUID in a header is named, with the setting that puts the id in front of the value', () => {
  const value = Buffer.from(`01${'89791762233641868674299b90a813e2'}`, 'hex')
  const problem = framingProblem([{ key: '__value_schema_id', value }])
  expect(problem).toContain('the GUID 89791762-2336-4186-8674-299b90a813e2 in the header __value_schema_id')
  expect(problem).toContain('value.schema.id.serializer')
})

test('K10: without that header, or with another content of it, the frame is what is missing', () => {
  expect(framingProblem([])).toBe('the value does not begin with byte 0 and a schema id')
  for (const value of [null, Buffer.alloc(0), Buffer.alloc(17)])
    expect(framingProblem([{ key: '__value_schema_id', value }])).toContain('named by something in the header')
})
