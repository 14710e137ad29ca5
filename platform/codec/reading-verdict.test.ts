// The verdict on a scanned value, where it depends on what was scanned before.
import avsc from 'avsc'
import { expect, test } from 'vitest'
import { loadSchema } from '../../schemas/load.ts'
import { readingOf as plain } from '../../test/fixtures/load.ts'
import { sensorKey } from './identity.ts'
import { planScan } from './reading-plan.ts'
import { ReadingScanner } from './reading-scanner.ts'
import { readingProblem } from './reading-verdict.ts'

test.each(['site_id', 'node_id'])('K6: a schema without %s has a verdict in bytes of any size', (missing) => {
  const schema = loadSchema('reading')
  const scanner = new ReadingScanner()
  const verdict = (fields: readonly { name: string }[], before: number): unknown => {
    const reading = { ...plain('s', 1, 0, 1_700_000_000_000) }
    const writer = { ...schema, fields }
    const value = avsc.Type.forSchema(writer as avsc.Schema, { logicalTypes: {} }).toBuffer(reading)
    const key = Buffer.from(sensorKey(reading.tenant_id, 's'))
    // Memory of its own, as of a batch: a part of a larger buffer would hide a place outside of it.
    const bytes = Buffer.from(new Uint8Array(key.length + before + value.length).buffer)
    bytes.set(key)
    bytes.set(value, key.length + before)
    expect(scanner.scan(planScan(writer), bytes, key.length + before, bytes.length)).toBe(true)
    return readingProblem(scanner, bytes, 0, key.length)
  }
  expect(verdict(schema.fields, 5_000)).toBeNull()
  const without = schema.fields.filter(({ name }) => name !== missing)
  expect(verdict(without, 0)).toBeNull()
})
