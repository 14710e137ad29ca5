// `replay` and `drop`: goes through the chosen open letters, oldest first in each partition, and gives each its outcome;
// or says what would happen. Only letters that stood in the topic when the run began are touched, so what is refused
// again meanwhile does not loop. A run can be stopped between two transactions.
import { AuditSchemas } from '../../audit/schemas.ts'
import type { Config } from '../../platform/config.ts'
import type { Admin, Kafka, RangeReader } from '../../platform/kafka/port.ts'
import { cachedSchemas } from '../../platform/codec/register.ts'
import { DLQ, RAW } from '../../schemas/topics.ts'
import type { DeadLetter } from '../../platform/dead-letters/letter.ts'
import { type LetterFilter, matches, narrow } from './core/filter.ts'
import type { Marks, Outcome } from '../../platform/dead-letters/marks.ts'
import { RunReport } from './core/report.ts'
import { type Route, Router } from './core/route.ts'
import { eachLetters, readMarks } from '../../platform/dead-letters/letters.ts'
import { Outcomes } from './outcomes.ts'

export interface RunOptions {
  readonly config: Config
  readonly kafka: Kafka
  readonly admin: Admin
  readonly outcome: Outcome
  readonly filter: LetterFilter
  /** Maximum number of letters. */
  readonly limit: number
  readonly dryRun: boolean
  readonly signal: AbortSignal
  /** Told of every letter and what becomes of it. */
  readonly onLetter: (letter: DeadLetter, route: Route | null) => void
  /** Told how many letters were looked at. */
  readonly onRead: (count: number) => void
}

export async function runOutcome(options: RunOptions): Promise<RunReport> {
  const { kafka, admin, dryRun } = options
  const reader = await kafka.rangeReader()
  let outcomes: Outcomes | null = null
  try {
    if (!dryRun) outcomes = await Outcomes.open(kafka, admin)
    const routes = new Routes(options.config, await admin.partitionCount(RAW))
    return await new Run(options, reader, outcomes, await readMarks(admin, reader), routes).all()
  } finally {
    await Promise.allSettled([reader.close(), outcomes?.close()])
  }
}

class Run {
  readonly #options: RunOptions
  readonly #reader: RangeReader
  /** Null: a dry run. */
  readonly #outcomes: Outcomes | null
  readonly #marks: Marks
  readonly #routes: Routes
  readonly #report: RunReport

  constructor(options: RunOptions, reader: RangeReader, outcomes: Outcomes | null, marks: Marks, routes: Routes) {
    this.#options = options
    this.#reader = reader
    this.#outcomes = outcomes
    this.#marks = marks
    this.#routes = routes
    this.#report = new RunReport(options.outcome, options.dryRun)
  }

  async all(): Promise<RunReport> {
    const { admin, filter, signal } = this.#options
    const report = this.#report
    for (const [partition, range] of (await admin.offsetRanges(DLQ)).entries()) {
      const chosen = narrow(range, partition, filter)
      await eachLetters(this.#reader, partition, chosen, this.#isEnough, (letters) => this.#through(letters))
    }
    report.stopped = signal.aborted
    return report
  }

  #isEnough = (): boolean => this.#options.signal.aborted || this.#report.done >= this.#options.limit

  async #through(letters: readonly DeadLetter[]): Promise<void> {
    for (const letter of letters) {
      if (this.#isEnough()) break
      const state = this.#marks.stateOf(letter)
      if (matches(letter, state, this.#options.filter)) await this.#decide(letter, state === 'open')
    }
    // Letters point into the fetched bytes, which must not be kept; and what is counted must be committed.
    await this.#outcomes?.commit()
    this.#options.onRead(letters.length)
  }

  async #decide(letter: DeadLetter, isOpen: boolean): Promise<void> {
    const { outcome, onLetter } = this.#options
    if (!isOpen) return this.#report.settledBefore()
    const route = outcome === 'dropped' ? null : await this.#routes.of(letter)
    if (route === null) await this.#outcomes?.drop(letter)
    else if (route.kind === 'replay') await this.#outcomes?.replay(letter, route.as, route.partition)
    this.#report.count(route)
    onLetter(letter, route)
  }
}

/** Routes with the registry at hand: each schema is asked for once. */
export class Routes {
  readonly #schemas: AuditSchemas
  readonly #router: Router

  /** @param partitions of telemetry.raw */
  constructor(config: Config, partitions: number) {
    this.#schemas = new AuditSchemas(cachedSchemas(config.REGISTRY_URL, config.API_TOKEN))
    this.#router = new Router(this.#schemas, config.REFINE_FUTURE_MS, partitions)
  }

  async of(letter: DeadLetter): Promise<Route> {
    for (;;) {
      const route = this.#router.route(letter, Date.now())
      if (route.kind !== 'unknown-schema') return route
      await this.#schemas.learn(route.schema)
    }
  }
}
