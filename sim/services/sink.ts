// The sink as a simulated process, on the real SQLite store wrapped in faults: it fails, stalls, loses an answer, or
// crashes the process just before or just after a store transaction.
import { Registry } from 'prom-client'
import type { Config } from '../../platform/config.ts'
import { aborted } from '../../platform/lifecycle.ts'
import type { Store, StoreView, WriteBatch } from '../../platform/store/port.ts'
import { SqliteStore } from '../../platform/store/sqlite/store.ts'
import { StoreOutageError } from '../../platform/store/store-errors.ts'
import { SinkMetrics } from '../../sinks/sink-metrics.ts'
import { Sink } from '../../sinks/sink.ts'
import type { ServiceOptions } from './options.ts'

/** Chances per write. */
export interface StoreFaults {
  readonly outage: number
  readonly stall: number
  readonly lostAnswer: number
  readonly killBefore: number
  readonly killAfter: number
}

export const NO_STORE_FAULTS: StoreFaults = { outage: 0, stall: 0, lostAnswer: 0, killBefore: 0, killAfter: 0 }
/** Beyond the sink's own deadline for a write. */
const STALL_MS_MAX = 2_500

export interface SinkServiceOptions extends ServiceOptions {
  readonly config: Config
  /** Asked at every write. */
  readonly faults: () => StoreFaults
  /** Ends the process immediately. */
  readonly kill: (why: string) => void
}

type SinkStore = Pick<Store, 'read' | 'write'>

class FailingStore implements SinkStore {
  readonly #inner: SqliteStore
  readonly #options: SinkServiceOptions

  constructor(inner: SqliteStore, options: SinkServiceOptions) {
    this.#inner = inner
    this.#options = options
  }

  read<T>(work: (view: StoreView) => Promise<T>): Promise<T> {
    return this.#options.life.call(() => this.#inner.read(work))
  }

  write(batch: WriteBatch, signal?: AbortSignal): Promise<void> {
    return this.#options.life.call(() => this.#write(batch, signal))
  }

  async #write(batch: WriteBatch, signal?: AbortSignal): Promise<void> {
    const { faults, random, life, kill } = this.#options
    const { outage, stall, lostAnswer, killBefore, killAfter } = faults()
    let dice = random()
    const strikes = (probability: number): boolean => (dice -= probability) < 0 && dice >= -probability
    if (strikes(outage)) throw new StoreOutageError('away on purpose')
    if (strikes(killBefore)) return this.#die(kill, 'before the store’s transaction')
    if (strikes(stall)) await life.clock.sleep(random() * STALL_MS_MAX, signal)
    const loses = strikes(lostAnswer)
    const dies = strikes(killAfter)
    await this.#inner.write(batch)
    if (dies) return this.#die(kill, 'after the store’s transaction')
    if (loses)
      await new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error)))
  }

  #die(kill: (why: string) => void, why: string): Promise<never> {
    kill(why)
    return new Promise(() => undefined)
  }
}

/** Runs until the signal fires; rejects when the sink cannot continue. */
export async function runSinkService(options: SinkServiceOptions): Promise<void> {
  const { config, kafka, life, random, log, registry, signal } = options
  const store = new SqliteStore({ file: config.SQLITE_FILE, access: 'write' })
  life.onDeath(() => void store.close())
  await store.migrate()
  const sink = await Sink.start({
    clock: life.clock,
    random,
    kafka,
    store: new FailingStore(store, options),
    metrics: new SinkMetrics(new Registry()),
    log,
    fetchSchema: (id) => life.call(() => registry.fetchSchema(id)),
    group: config.SINK_GROUP,
    sessionTimeoutMs: config.SINK_SESSION_MS,
    refineGroup: config.REFINE_GROUP,
    lingerMs: config.SINK_LINGER_MS,
    writeTimeoutMs: config.SINK_WRITE_TIMEOUT_MS,
  })
  try {
    await Promise.race([aborted(signal), sink.failed])
  } finally {
    await sink.stop()
  }
}
