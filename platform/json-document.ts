// JSON in which every name occurs once per object. JSON.parse keeps the last of several, so that a repeated "fleet" would
// silently drop settings that the sender meant; here it is refused by name.
import { InputError } from './errors.ts'

/** A text is one token, so that no quote or bracket within it counts. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gs
const SHOWN_CHARS_MAX = 80

/**
 * @param bytes UTF-8
 * @throws InputError naming what is wrong: not UTF-8, not JSON, or a name that is given twice
 */
export function parseJsonOnce(bytes: Uint8Array): unknown {
  let text: string
  let parsed: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new InputError('JSON', 'body', 'the body is not UTF-8')
  }
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw new InputError('JSON', 'body', `the body is not JSON: ${(error as Error).message.slice(0, 200)}`)
  }
  const repeated = repeatedName(text)
  if (repeated !== null) {
    const shown = repeated.slice(0, SHOWN_CHARS_MAX)
    throw new InputError('JSON', shown, `${JSON.stringify(shown)} is given twice in one object: give it once`)
  }
  return parsed
}

/** @param text valid JSON */
function repeatedName(text: string): string | null {
  /** Names of the open objects, null for an open list. */
  const open: (Set<string> | null)[] = []
  let last: string | null = null
  for (const [token] of text.matchAll(TOKEN)) {
    const names = open.at(-1) ?? null
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(null)
    else if (token === '}' || token === ']') open.pop()
    // In an object only the text before a colon is a name.
    else if (token === ':' && names !== null && last !== null) {
      const name = JSON.parse(last) as string
      if (names.has(name)) return name
      names.add(name)
    }
    last = token.startsWith('"') ? token : null
  }
  return null
}
