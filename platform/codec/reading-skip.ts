// Steps that pass over a value that no field of ours takes: what a plan of the scanner does with fields that other
// versions of Reading have, of any Avro type. Whatever the bytes say, every step takes at least one byte and ends at the
// end of the record, so the time is bounded by the record's length; recursion is bounded by the scanner's depth.
import type { AvroNode, RecordNode } from './avro-schema.ts'
import type { ReadingScanner } from './reading-scanner.ts'

export type Step = (scanner: ReadingScanner) => void

const nothing: Step = () => undefined

/** Steps are made once per named type: a recursive record's step calls itself. */
export class Skips {
  readonly #records = new Map<RecordNode, Step>()
  readonly #empty = new Map<AvroNode, boolean>()

  stepOf(node: AvroNode): Step {
    switch (node.kind) {
      case 'null':
        return nothing
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
      case 'fixed':
        return (s) => s.skip(node.size)
      case 'enum':
        return (s) => void s.index(node.symbols)
      case 'union':
        return branchStep(node.branches.map((branch) => this.stepOf(branch)))
      case 'array':
        return this.#blocks(this.#isEmpty(node.items) ? null : this.stepOf(node.items))
      case 'map': {
        const value = this.stepOf(node.values)
        return blocks((s) => {
          s.skip(s.length())
          value(s)
        })
      }
      case 'record':
        return this.#records.get(node) ?? this.#record(node)
    }
  }

  #record(node: RecordNode): Step {
    const steps: Step[] = []
    const step: Step = (s) => {
      if (!s.enter()) return
      for (let i = 0; i < steps.length && !s.failed; i += 1) steps[i](s)
      s.leave()
    }
    this.#records.set(node, step)
    // What takes no bytes takes no step: a record of a thousand nulls must not cost a thousand steps a byte.
    for (const { type } of node.fields) if (!this.#isEmpty(type)) steps.push(this.stepOf(type))
    return step
  }

  /** Items without bytes may be any number and are nothing to pass over. */
  #blocks(item: Step | null): Step {
    return item === null ? emptyBlocks : blocks(item)
  }

  /** Whether every value of the type has no bytes. */
  #isEmpty(node: AvroNode): boolean {
    if (node.kind === 'null') return true
    if (node.kind === 'fixed') return node.size === 0
    if (node.kind !== 'record') return false
    const known = this.#empty.get(node)
    if (known !== undefined) return known
    // A record that holds itself without a union has no finite value; its step ends by its depth.
    this.#empty.set(node, false)
    const isEmpty = node.fields.every(({ type }) => this.#isEmpty(type))
    this.#empty.set(node, isEmpty)
    return isEmpty
  }
}

/** Reads a union's branch and takes its step. */
export const branchStep =
  (branches: readonly Step[]): Step =>
  (s) => {
    const branch = s.index(branches.length)
    if (!s.failed) branches[branch](s)
  }

/** Avro's blocks: counts until 0; a negative count is followed by the block's size. Every entry takes bytes. */
export function blocks(entry: Step): Step {
  return (s) => {
    for (let count = blockCount(s); count !== 0; count = blockCount(s)) {
      if (count > s.remaining()) return s.fail()
      for (let i = 0; i < count && !s.failed; i += 1) entry(s)
    }
  }
}

const emptyBlocks: Step = (s) => {
  while (blockCount(s) !== 0);
}

/** 0 at the end, and after a failure. */
function blockCount(s: ReadingScanner): number {
  const count = s.long()
  if (count < 0) s.long()
  return s.failed ? 0 : Math.abs(count)
}
