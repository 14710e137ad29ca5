// How much work a schema may be. Anybody with the token can register one, and a check of compatibility compares each
// branch of a union with each of the other schema's: a union of a thousand records would keep the registry busy for
// minutes. The work is estimated before it begins, in time that is proportional to the text; what is beyond the limits
// is refused with the limit named.
import { invalidSchema } from './refusal.ts'

/** Brackets within brackets, in the JSON: what walks a schema does it by recursion. */
const DEPTH_MAX = 300
/** Types, plus the pairs of branches of each union: a union of 100 branches, or 5,000 fields. */
export const WORK_MAX = 12_000
/** The same over all versions that one request is compared with. */
export const CHECK_WORK_MAX = 200_000

/** @throws Refusal 42201 */
export function checkDepth(text: string): void {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i += 1) {
    const char = text.charCodeAt(i)
    if (inString) {
      if (char === BACKSLASH) i += 1
      else if (char === QUOTE) inString = false
    } else if (char === QUOTE) inString = true
    else if (char === OBJECT || char === ARRAY) {
      depth += 1
      if (depth > DEPTH_MAX) throw invalidSchema(`its JSON is nested deeper than the limit of ${DEPTH_MAX}`)
    } else if (char === OBJECT_END || char === ARRAY_END) depth -= 1
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OBJECT = 0x7b
const OBJECT_END = 0x7d
const ARRAY = 0x5b
const ARRAY_END = 0x5d

/** Of a schema whose depth has been checked. @param text its JSON */
export function workOf(text: string): number {
  const waiting: unknown[] = [JSON.parse(text)]
  let work = 0
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    work += 1
    if (Array.isArray(node)) {
      work += node.length ** 2
      for (const branch of node as readonly unknown[]) waiting.push(branch)
    } else if (typeof node === 'object' && node !== null) {
      const { type, fields, items, values } = node as Record<string, unknown>
      if (Array.isArray(fields))
        for (const field of fields as readonly unknown[]) waiting.push((field as { type?: unknown } | null)?.type ?? '')
      waiting.push(...[type, items, values].filter((part) => typeof part === 'object' && part !== null))
    }
  }
  return work
}

/** @throws Refusal 42201 */
export function checkWork(text: string): void {
  const work = workOf(text)
  if (work > WORK_MAX)
    throw invalidSchema(
      `it has ${work} types and pairs of branches in unions; the limit is ${WORK_MAX}, for instance one union of 100 branches`,
    )
}
