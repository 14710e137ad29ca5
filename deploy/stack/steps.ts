// Progress of the steps of a start or a stop: on a terminal a line that moves and then stays with its duration,
// elsewhere plain lines. The clock only feeds the display.
import { styleText } from 'node:util'
import { createLogUpdate } from 'log-update'
import { aborted } from '../../platform/lifecycle.ts'

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const FRAME_MS = 80
/** Anything shorter needs no display. */
const QUIET_MS = 2_000

export type Progress = (line: string) => void

/** The operator wants to stop: no further step is started, and the current one is no longer awaited. */
export class StoppedError extends Error {}

interface Display {
  readonly progress: Progress
  end(mark: string, rest: string): void
}

export class Steps {
  readonly #out: NodeJS.WriteStream
  readonly #signal: AbortSignal | undefined

  /** @param signal when it fires, `run` rejects with StoppedError */
  constructor(out: NodeJS.WriteStream, signal?: AbortSignal) {
    this.#out = out
    this.#signal = signal
  }

  /**
   * Runs one step and shows how it goes.
   * @param work may say what it is doing; returns what is to be shown beside the step's name
   */
  async run(name: string, work: (progress: Progress) => Promise<string | void>): Promise<void> {
    if (this.#signal?.aborted) throw new StoppedError()
    const startedAt = performance.now()
    const display = this.#out.isTTY ? this.#live(name, startedAt) : this.#plain(name)
    const took = (): string => this.#paint('dim', since(startedAt))
    try {
      const detail = await this.#unlessStopped(work(display.progress))
      display.end(this.#paint('green', '✓'), `${detail ? ` ${detail}` : ''} ${took()}`)
    } catch (error) {
      const isStopped = error instanceof StoppedError
      display.end(
        isStopped ? this.#paint('yellow', '–') : this.#paint('red', '✗'),
        `${isStopped ? ' interrupted' : ''} ${took()}`,
      )
      throw error
    }
  }

  async #unlessStopped<T>(work: Promise<T>): Promise<T> {
    const signal = this.#signal
    if (signal === undefined) return work
    const stopped = aborted(signal).then(() => {
      throw new StoppedError()
    })
    return Promise.race([work, stopped])
  }

  #live(name: string, startedAt: number): Display {
    const update = createLogUpdate(this.#out)
    let doing = ''
    let frame = 0
    const timer = setInterval(() => {
      frame += 1
      const mark = this.#paint('cyan', FRAMES[frame % FRAMES.length])
      update(`${mark} ${name}${doing ? `: ${doing}` : ''} ${this.#paint('dim', since(startedAt))}`)
    }, FRAME_MS)
    return {
      progress: (line) => void (doing = line),
      end: (mark, rest) => {
        clearInterval(timer)
        update(`${mark} ${name}${rest}`)
        update.done()
      },
    }
  }

  /** A long step says what it is doing; a very short one only that it is done. */
  #plain(name: string): Display {
    let doing = ''
    let said = ''
    let isQuiet = true
    const say = (): void => {
      if (!isQuiet && doing !== said) this.#out.write(`… ${name}: ${doing}\n`)
      said = isQuiet ? said : doing
    }
    const timer = setTimeout(() => {
      isQuiet = false
      say()
    }, QUIET_MS)
    return {
      progress: (line) => {
        doing = line
        say()
      },
      end: (mark, rest) => {
        clearTimeout(timer)
        this.#out.write(`${mark} ${name}${rest}\n`)
      },
    }
  }

  #paint(style: 'green' | 'red' | 'yellow' | 'cyan' | 'dim', text: string): string {
    return styleText(style, text, { stream: this.#out })
  }
}

const since = (startedAt: number): string => `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`
