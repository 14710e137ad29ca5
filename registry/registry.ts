// One write at a time: each decision sees all that was written before it, so two requests can't get different ids for
// one schema, nor one id for two schemas. Reads are answered from memory.
import { messageOf } from '../platform/errors.ts'
import { retry } from '../platform/retry.ts'
import type { Decision } from './core/decide.ts'
import { Refusal, storeFailed } from './core/refusal.ts'
import type { RegistryState } from './core/state.ts'
import type { SchemaLog } from './schema-log.ts'

/** Maximum queued writes. Each takes milliseconds; a longer queue means that the broker is down. */
const QUEUE_MAX = 500
/**
 * A decision is made again when another writer's record came first. Two writers in step each lose about half of their
 * tries, so random waits separate them; this many losses in a row are no longer bad luck.
 */
const OVERTAKEN = { triesMax: 20, backoff: { baseMs: 5, capMs: 100 } }

export type Decide<T> = (state: RegistryState) => Decision<T>

export class Registry {
  readonly #log: Pick<SchemaLog, 'state' | 'catchUp' | 'append'>
  #tail: Promise<unknown> = Promise.resolve()
  #queued = 0

  constructor(log: Pick<SchemaLog, 'state' | 'catchUp' | 'append'>) {
    this.#log = log
  }

  get state(): RegistryState {
    return this.#log.state
  }

  /**
   * Decides on the newest state, writes what follows from it, and answers when it is in the topic.
   * @throws Refusal from the decision, or 50001 when the topic cannot be written or read
   */
  async write<T>(decide: Decide<T>): Promise<T> {
    if (this.#queued >= QUEUE_MAX) throw storeFailed(`${QUEUE_MAX} writes are waiting already`)
    this.#queued += 1
    const turn = this.#tail.then(() => this.#decideAndAppend(decide))
    this.#tail = turn.catch(() => undefined)
    try {
      return await turn
    } catch (error) {
      throw error instanceof Refusal ? error : storeFailed(messageOf(error))
    } finally {
      this.#queued -= 1
    }
  }

  #decideAndAppend<T>(decide: Decide<T>): Promise<T> {
    const overtaken = storeFailed('other writers came first each time')
    const work = async (): Promise<T> => {
      await this.#log.catchUp()
      const { records, answer } = decide(this.state)
      if (records.length > 0 && !(await this.#log.append(records))) throw overtaken
      return answer
    }
    return retry(work, { ...OVERTAKEN, isRetriable: (error) => error === overtaken })
  }
}
