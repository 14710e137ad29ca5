// The lines of a file, one after another and with little memory.
import { closeSync, openSync, readSync } from 'node:fs'

const BLOCK_BYTES = 65_536
const NEWLINE = 0x0a

export interface Line {
  /** From 1. */
  readonly number: number
  readonly text: string
}

/** Text without a line break is not a line yet. */
export function* linesOf(file: string): Generator<Line, undefined> {
  const fd = openSync(file, 'r')
  try {
    const block = Buffer.alloc(BLOCK_BYTES)
    let rest = Buffer.alloc(0)
    let number = 0
    for (;;) {
      const size = readSync(fd, block)
      if (size === 0) return
      const bytes = Buffer.concat([rest, block.subarray(0, size)])
      let at = 0
      for (let end = bytes.indexOf(NEWLINE, at); end >= 0; end = bytes.indexOf(NEWLINE, at)) {
        number += 1
        yield { number, text: bytes.toString('utf8', at, end) }
        at = end + 1
      }
      rest = bytes.subarray(at)
    }
  } finally {
    closeSync(fd)
  }
}
