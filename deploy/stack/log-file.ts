// A service's output: one bounded file per service, appended to. When it is full it becomes `.1` and a new
// one is started, so that a stack running for weeks does not fill the disk.
import { createWriteStream, existsSync, mkdirSync, renameSync, statSync, type WriteStream } from 'node:fs'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'

const BYTES_MAX = 32 * 1_048_576
/** The end of the output, kept for error messages. */
const TAIL_CHARS = 4_000

export class LogFile {
  readonly path: string
  #stream: WriteStream
  #bytes: number
  #tail = ''
  /** Of the process before: what it said at its end is the reason why there is another. */
  #formerTail = ''

  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true })
    this.path = path
    this.#bytes = existsSync(path) ? statSync(path).size : 0
    this.#stream = createWriteStream(path, { flags: 'a' })
  }

  /** Takes over a process's output until it ends. */
  attach(...outputs: readonly Readable[]): void {
    if (this.#tail.trim() !== '') this.#formerTail = this.#tail
    this.#tail = ''
    for (const output of outputs) output.on('data', (chunk: Buffer) => this.#append(chunk))
  }

  /** The last lines written by the current process, or by the one before while it has not written any. */
  lastLines(count: number): string {
    const tail = this.#tail.trim() === '' ? this.#formerTail : this.#tail
    return tail.trimEnd().split('\n').slice(-count).join('\n')
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#stream.end(resolve))
  }

  #append(chunk: Buffer): void {
    this.#tail = (this.#tail + chunk.toString('utf8')).slice(-TAIL_CHARS)
    if (this.#bytes + chunk.length > BYTES_MAX) {
      this.#stream.end()
      renameSync(this.path, `${this.path}.1`)
      this.#stream = createWriteStream(this.path, { flags: 'a' })
      this.#bytes = 0
    }
    this.#bytes += chunk.length
    this.#stream.write(chunk)
  }
}
