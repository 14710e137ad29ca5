// Whether data written with one schema can be read with another, and which pairs each compatibility level asks about.
// Reading is judged by avsc's resolver: what it resolves, our readers can read.
import avsc from 'avsc'
import { CHECK_WORK_MAX, workOf } from './bounds.ts'
import { invalidSchema } from './refusal.ts'

/** avsc's messages hold whole schemas. */
const REASON_CHARS_MAX = 1_000

export const LEVELS = [
  'NONE',
  'BACKWARD',
  'BACKWARD_TRANSITIVE',
  'FORWARD',
  'FORWARD_TRANSITIVE',
  'FULL',
  'FULL_TRANSITIVE',
] as const
export type Level = (typeof LEVELS)[number]
export const DEFAULT_LEVEL: Level = 'BACKWARD'

/** The level of that name, in any case; null when there is none. */
export function levelOf(name: unknown): Level | null {
  if (typeof name !== 'string') return null
  return LEVELS.find((level) => level === name.toUpperCase()) ?? null
}

/** @throws Refusal 42201 when the text is not an Avro schema */
export function avroType(text: string): avsc.Type {
  try {
    return avsc.Type.forSchema(JSON.parse(text) as avsc.Schema)
  } catch (error) {
    throw invalidSchema((error as Error).message)
  }
}

/**
 * @param earlier canonical texts of the subject's versions, oldest first
 * @returns why the candidate is not compatible; empty when it is
 */
export function incompatibilities(level: Level, candidate: string, earlier: readonly string[]): string[] {
  if (level === 'NONE' || earlier.length === 0) return []
  const compared = level.endsWith('_TRANSITIVE') ? earlier : earlier.slice(-1)
  const direction = level.replace('_TRANSITIVE', '')
  const ways = direction === 'FULL' ? 2 : 1
  const work = ways * compared.reduce((sum, text) => sum + Math.max(workOf(text), workOf(candidate)), 0)
  if (work > CHECK_WORK_MAX)
    throw invalidSchema(
      `comparing it with ${compared.length} versions takes ${work} comparisons of types; the limit is ${CHECK_WORK_MAX}: use a level that is not transitive, or another subject`,
    )
  const newer = avroType(candidate)
  return compared.flatMap((text) => {
    const older = avroType(text)
    return [
      ...(direction === 'FORWARD' ? [] : unreadable(newer, older, 'the new schema cannot read earlier data')),
      ...(direction === 'BACKWARD' ? [] : unreadable(older, newer, 'an earlier schema cannot read new data')),
    ]
  })
}

function unreadable(reader: avsc.Type, writer: avsc.Type, what: string): string[] {
  // avsc throws for each pair of branches that differ, a hundred times faster without stacks.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    reader.createResolver(writer)
    return []
  } catch (error) {
    return [`${what}: ${(error as Error).message.slice(0, REASON_CHARS_MAX)}`]
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}
