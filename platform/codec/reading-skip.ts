// Steps that pass over a value of a type that nobody here wants: what a plan of the scanner does with fields that other
// versions of Reading have. Whatever the bytes say, a step ends at the end of the record.
import type { ReadingScanner } from './reading-scanner.ts'

export type AvroType = string | { type: string; values?: AvroType; items?: AvroType; logicalType?: string } | AvroType[]
type Step = (scanner: ReadingScanner) => void

/** Wire types that a plan can read; a writer schema with others is refused as a whole. */
export class UnsupportedSchema extends Error {}

export const nameOf = (type: AvroType): string =>
  typeof type === 'string' ? type : ((type as { type: string }).type ?? 'union')

/** @throws UnsupportedSchema */
export function skipStep(type: AvroType): Step {
  if (Array.isArray(type)) {
    const branches = type.map(skipStep)
    return (s) => {
      const branch = s.long()
      if (branch < 0 || branch >= branches.length) s.fail()
      else branches[branch](s)
    }
  }
  switch (nameOf(type)) {
    case 'null':
      return () => undefined
    case 'boolean':
      return (s) => s.skip(1)
    case 'int':
    case 'long':
      return (s) => void s.long()
    case 'float':
      return (s) => s.skip(4)
    case 'double':
      return (s) => s.skip(8)
    case 'string':
    case 'bytes':
      return (s) => s.skip(s.length())
    case 'map': {
      const value = skipStep((type as { values: AvroType }).values)
      return blocks((s) => {
        s.skip(s.length())
        value(s)
      })
    }
    case 'array':
      return blocks(skipStep((type as { items: AvroType }).items))
    default:
      throw new UnsupportedSchema(`type ${JSON.stringify(type)}`)
  }
}

/** Avro's blocks: counts until 0; a negative count is followed by the block's size. Every entry takes bytes. */
function blocks(entry: Step): Step {
  return (s) => {
    let count = s.long()
    while (count !== 0) {
      if (count < 0) {
        s.long()
        count = -count
      }
      if (!hasRoom(s, count)) return
      for (let i = 0; i < count; i += 1) entry(s)
      count = s.long()
    }
  }
}

function hasRoom(s: ReadingScanner, count: number): boolean {
  const room = s.remaining()
  if (room >= count) return true
  s.fail()
  return false
}
