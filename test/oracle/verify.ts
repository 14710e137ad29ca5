// Judges a refine run that has settled: the real topics against the oracle, the extents against clean, the ledger in the
// committed offset against both. Returns descriptions of what is wrong, so that a failing test says more than "false".
import avsc from 'avsc'
import { loadSchema } from '../../schemas/load.ts'
import { readCommitMetadata } from '../../schemas/refine.ts'
import { CLEAN, DLQ, EXTENTS, LATE, RAW } from '../../schemas/topics.ts'
import type { Stack } from '../fixtures/refine.ts'
import { schemasOf } from '../fixtures/refine.ts'
import { readTopic } from '../fixtures/topic-records.ts'
import { differences } from './compare.ts'
import { type Expected, expectRefined, type OracleSettings, type RawRecord } from './refine.ts'

/** As QUICK in fixtures/refine.ts and the defaults of platform/config.ts have them. */
export const QUICK_SETTINGS: Omit<OracleSettings, 'partition' | 'partitions'> = {
  gapTimeoutMs: 600,
  gapBuffer: 64,
  holdBackMs: 500,
  holdBackBuffer: 256,
  futureMs: 300_000,
  aheadMs: 5_000,
  earliestMs: Date.UTC(2000),
}

const extentType = avsc.Type.forSchema(loadSchema('extent') as unknown as avsc.Schema)

export interface Verdict {
  readonly problems: string[]
  /** Sums over the partitions, for tests that must know that their load contained what they test. */
  readonly counts: {
    raw: number
    clean: number
    late: number
    deadLetters: number
    duplicates: number
    controls: number
    extents: number
  }
}

export async function verify(stack: Stack, settings = QUICK_SETTINGS): Promise<Verdict> {
  const [raw, clean, late, dlq, extents] = await Promise.all(
    [RAW, CLEAN, LATE, DLQ, EXTENTS].map((topic) => readTopic(stack.kafka, topic)),
  )
  const typeOf = await typesOf(stack, raw)
  const committed = await stack.admin.committedOffsets('refine', RAW)
  const problems: string[] = []
  const counts = { raw: 0, clean: 0, late: 0, deadLetters: 0, duplicates: 0, controls: 0, extents: 0 }
  for (const [partition, records] of raw.entries()) {
    const expected = expectRefined(records, { ...settings, partition, partitions: raw.length }, typeOf)
    const found = [
      ...differences(records, expected, { clean: clean[partition], late: late[partition], dlq: dlq[partition] }),
      ...orderProblems(clean[partition], typeOf),
      ...extentProblems(extents[partition], clean[partition]),
      ...ledgerProblems(committed[partition]?.metadata, records, expected),
    ]
    problems.push(...found.map((problem) => `partition ${partition}: ${problem}`))
    counts.raw += records.length
    counts.clean += clean[partition].length
    counts.late += late[partition].length
    counts.deadLetters += dlq[partition].length
    counts.duplicates += expected.duplicates.length
    counts.controls += expected.controls.length
    counts.extents += extents[partition].length
  }
  return { problems, counts }
}

type TypeOf = (schemaId: number) => avsc.Type | undefined

/** Writer types of every schema id that occurs and that the registry knows as a Reading. */
async function typesOf(stack: Stack, raw: readonly (readonly RawRecord[])[]): Promise<TypeOf> {
  const fetchSchema = schemasOf(stack)
  const types = new Map<number, avsc.Type>()
  const ids = new Set(
    raw
      .flat()
      .flatMap(({ value }) => (value !== null && value.length >= 5 && value[0] === 0 ? [value.readUInt32BE(1)] : [])),
  )
  for (const id of ids) {
    const text = await fetchSchema(id)
    const schema = text === null ? null : (JSON.parse(text) as { name?: string })
    if (schema?.name === 'Reading') types.set(id, avsc.Type.forSchema(schema as avsc.Schema, { logicalTypes: {} }))
  }
  return (id) => types.get(id)
}

/** EM-2 and X-2, checked independently of any expectation: time strictly increases, no (sensor, epoch, seq) twice. */
function orderProblems(clean: readonly RawRecord[], typeOf: TypeOf): string[] {
  const problems: string[] = []
  const lastTs = new Map<string, number>()
  const seen = new Set<string>()
  for (const { key, value, offset } of clean) {
    const { epoch, seq, ts } = typeOf(value!.readUInt32BE(1))!.fromBuffer(value!.subarray(5)) as {
      epoch: number
      seq: number
      ts: number
    }
    const sensor = key!.toString()
    const id = `${sensor} ${epoch} ${epoch === 0 ? ts : seq}`
    if (ts <= (lastTs.get(sensor) ?? -Infinity)) problems.push(`clean ${offset}: time of ${sensor} does not increase`)
    if (seen.has(id)) problems.push(`clean ${offset}: ${id} twice`)
    lastTs.set(sensor, ts)
    seen.add(id)
  }
  return problems
}

/** DS-1: the extents follow each other in their topic as their records do in clean, and cover every record once. */
function extentProblems(extents: readonly RawRecord[], clean: readonly RawRecord[]): string[] {
  const problems: string[] = []
  let at = 0
  let inputTo = 0
  for (const { value, offset } of extents) {
    const extent = extentType.fromBuffer(value!.subarray(5)) as {
      first_offset: number
      count: number
      input_from: number
      input_to: number
    }
    const records = clean.slice(at, at + extent.count)
    const isExact =
      records.length === extent.count && records.every((record, i) => record.offset === extent.first_offset + i)
    if (!isExact)
      problems.push(
        `extent ${offset} names clean ${extent.first_offset} + ${extent.count}, which are not the records that follow`,
      )
    if (extent.input_from < inputTo || extent.input_to < extent.input_from)
      problems.push(`extent ${offset} goes back in raw`)
    inputTo = extent.input_to
    at += extent.count
  }
  if (at !== clean.length) problems.push(`the extents cover ${at} of ${clean.length} records`)
  return problems
}

function ledgerProblems(metadata: string | undefined, raw: readonly RawRecord[], expected: Expected): string[] {
  if (metadata === undefined) return raw.length === 0 ? [] : ['no committed offset']
  const { ledger } = readCommitMetadata(metadata)
  const sizes = (lists: Map<string, unknown[]>): number =>
    [...lists.values()].reduce((sum, list) => sum + list.length, 0)
  const want = {
    consumed: raw.length,
    emitted: sizes(expected.clean),
    duplicate: expected.duplicates.length,
    late: sizes(expected.late),
    conflict: expected.conflicts.length,
    deadLettered: expected.deadLetters.length - expected.conflicts.length,
    control: expected.controls.length,
    buffered: expected.waiting.length,
  }
  return Object.entries(want).flatMap(([name, count]) => {
    const said = ledger[name as keyof typeof want]
    return said === count ? [] : [`the ledger says ${said} ${name}, the oracle ${count}`]
  })
}
