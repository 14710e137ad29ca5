// The demonstration of `up --push-config`: periodically toggles the fleet's detector.z and shows
// the result. It goes through the query API like any other change, and leaves the last value in place.
import { messageOf } from '../../platform/errors.ts'
import { changeConfig } from './change.ts'
import { pause } from '../../platform/retry.ts'

/** The usual threshold and a less sensitive one. */
const THRESHOLDS = [4, 3]
/** Longer than nodes and stream jobs need; a member that has not applied it by then is shown as pending. */
const WAIT_MS = 5_000

export class PushDemo {
  #text = 'nothing pushed yet'

  /** The result of the last push. */
  get text(): string {
    return this.#text
  }

  /** Pushes until the signal fires; failures are shown and retried. */
  async run(env: Readonly<Record<string, string>>, everyMs: number, signal: AbortSignal): Promise<void> {
    for (let turn = 0; ; turn += 1) {
      await pause(everyMs, signal)
      if (signal.aborted) return
      await this.#push(env, THRESHOLDS[turn % THRESHOLDS.length], Math.min(WAIT_MS, everyMs))
    }
  }

  async #push(env: Readonly<Record<string, string>>, z: number, waitMs: number): Promise<void> {
    try {
      const { version, applied, pending } = await changeConfig(
        env,
        (scopes) => ({ ...scopes, fleet: { ...scopes.fleet, 'detector.z': z } }),
        waitMs,
      )
      this.#text = `version ${version} pushed: detector.z=${z}, applied by ${applied.length} of ${applied.length + pending.length}`
    } catch (error) {
      this.#text = `not pushed: ${messageOf(error)}`
    }
  }
}
