// One run of the stack from start to stop, as `up` and `demo` have it: the first Ctrl-C stops cleanly in order, the
// second one kills. A failed start stops what it has started and then says why.
import { styleText } from 'node:util'
import { Stack, type StackOptions } from './stack.ts'
import { Steps, StoppedError } from './steps.ts'

/** 128 + SIGINT, as a shell reports it. */
const EXIT_KILLED = 130
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export interface Session {
  readonly stack: Stack
  /** For output that is shown even after the operator has asked to stop. */
  readonly steps: Steps
  /** Fires when the operator wants to stop; `work` should then return. */
  readonly signal: AbortSignal
}

/**
 * Starts the stack, runs `work` on it and stops it, however `work` ends.
 * @returns what `work` returned; null when the operator interrupted the start
 */
export async function runSession<T>(options: StackOptions, work: (session: Session) => Promise<T>): Promise<T | null> {
  const out = process.stdout
  const interrupt = new AbortController()
  const steps = new Steps(out)
  const stack = new Stack(options)
  const onSignal = (): void => {
    if (!interrupt.signal.aborted) return interrupt.abort()
    out.write(`${styleText('yellow', 'killing everything', { stream: out })}\n`)
    void stack.kill().finally(() => process.exit(EXIT_KILLED))
  }
  // A closed terminal must not keep us from stopping in order.
  out.on('error', () => {})
  for (const name of SIGNALS) process.on(name, onSignal)
  try {
    await stack.start(new Steps(out, interrupt.signal))
    return await work({ stack, steps, signal: interrupt.signal })
  } catch (error) {
    if (error instanceof StoppedError) return null
    throw error
  } finally {
    await stack.stop(steps)
    for (const name of SIGNALS) process.off(name, onSignal)
  }
}
