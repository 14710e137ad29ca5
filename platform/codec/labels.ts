// One number for what belongs to a reading as a whole: its site, its node and its tags, in whatever order these are. It
// goes into the fingerprint of a row (fingerprint.ts). Computed from the bytes of a record in place, and from the texts
// that a store keeps; both give the same.
import { murmur2 } from '../kafka/partitioner.ts'
import { mix } from './mix.ts'
import { NODE, SITE } from './reading-plan.ts'
import { type ReadingScanner, TAG_STRIDE } from './reading-scanner.ts'

export interface Labels {
  readonly site: string
  readonly node: string
  readonly tags: Readonly<Record<string, string>>
}

const SEED = 0x2545f491
/** Up to so many tags, looking for a repeated name is quicker without a set. */
const FEW = 8

export function labelsOf({ site, node, tags }: Labels): number {
  let sum = 0
  for (const name of Object.keys(tags)) sum = (sum + mix(hashOf(name), hashOf(tags[name]))) | 0
  return mix(mix(mix(SEED, hashOf(site)), hashOf(node)), sum)
}

/** @param bytes those that were scanned */
export function labelsIn(scanner: ReadingScanner, bytes: Uint8Array): number {
  const { idAt, idLength, tagCount } = scanner
  const site = murmur2(bytes, idAt[SITE], idLength[SITE])
  const node = murmur2(bytes, idAt[NODE], idLength[NODE])
  return mix(mix(mix(SEED, site), node), tagCount === 0 ? 0 : tagsIn(scanner, bytes))
}

/** Of a name that occurs more than once the last value holds. */
function tagsIn({ tags, tagCount }: ReadingScanner, bytes: Uint8Array): number {
  const seen = tagCount > FEW ? new Set<number>() : null
  let sum = 0
  for (let i = tagCount - 1; i >= 0; i -= 1) {
    const place = i * TAG_STRIDE
    const name = murmur2(bytes, tags[place], tags[place + 1])
    if (seen?.has(name) === true || (seen === null && occursAfter(i, name))) continue
    seen?.add(name)
    sum = (sum + mix(name, murmur2(bytes, tags[place + 2], tags[place + 3]))) | 0
  }
  return sum

  function occursAfter(index: number, name: number): boolean {
    for (let k = index + 1; k < tagCount; k += 1)
      if (murmur2(bytes, tags[k * TAG_STRIDE], tags[k * TAG_STRIDE + 1]) === name) return true
    return false
  }
}

function hashOf(text: string): number {
  const bytes = Buffer.from(text)
  return murmur2(bytes, 0, bytes.length)
}
