// One refine task: the owner of one raw partition. It holds the core and the transactional producer, and every batch is
// one transaction:
//   1. outputs (clean, late, anomalies, dead letters)
//   2. the extent, which needs clean's first offset, and now and then a snapshot
//   3. the input offset, with the metadata that recovery starts from
//   4. commit
// After any error the task is dead: producer and state are discarded and the partition is reacquired (tasks.ts).
import avsc from 'avsc'
import type { Clock } from '../../../platform/clock.ts'
import { schemaNameOf, type SchemaName } from '../../../platform/codec/framing.ts'
import { encodeFramed } from '../../../platform/codec/reading.ts'
import type { FetchedBatch, OutgoingBatch, TransactionalProducer } from '../../../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../../../platform/kafka/record-batch/builder.ts'
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { loadSchema } from '../../../schemas/load.ts'
import type { RefineTopics } from '../../../schemas/topics.ts'
import { emptyLedger, type Ledger, LEDGER_NAMES } from '../core/ledger.ts'
import type { Refine } from '../core/refine.ts'
import type { CoreSettings } from '../core/settings.ts'
import { SnapshotSlices, snapshotType } from '../core/snapshot.ts'
import type { BatchOutputs } from './batch-outputs.ts'
import { type CommitMetadata, encodeMetadata } from './commit-metadata.ts'
import { fulfilsWithin } from './fulfils-within.ts'
import { type Refusals, REFUSALS_MAX, type SchemaPlans } from './plans.ts'

/** Records between checks of the outputs' size. */
const STRIDE = 1_024
/** Outputs of one transaction; more are committed in several. Bounds the memory of a task. */
const TRANSACTION_BYTES = 16 * 1024 * 1024
/** Total time a batch may wait for the registry before the other partitions, which share its fetch, continue, ms. */
const REGISTRY_BUDGET_MS = 500
/** Schema ids looked up together; as many as refusals fit in an offset's metadata. */
const LOOKUPS_MAX = 64

const extentType = avsc.Type.forSchema(loadSchema('extent') as unknown as avsc.Schema)

/** The steps of the commit protocol, for tests that stop the process between any two of them. */
export type CommitStep = 'begun' | 'outputs-sent' | 'extent-sent' | 'snapshot-sent' | 'offset-sent' | 'committed'

export interface TaskSettings {
  readonly group: string
  readonly topics: RefineTopics
  readonly snapshotMs: number
  readonly snapshotRecords: number
  readonly extentSchemaId: number
  readonly snapshotSchemaId: number
}

export interface CommitReport {
  readonly partition: number
  /** The ledger's increments. */
  readonly delta: Ledger
  /** Records on which the core threw. */
  readonly failures: number
  readonly buffered: number
  /** Wall time between the arrival of the last record and the end of the commit, ms. */
  readonly latencyMs: number
  readonly commitMs: number
  readonly snapshotBytes: number
}

export interface TaskDeps {
  readonly clock: Clock
  readonly random: () => number
  readonly plans: SchemaPlans
  readonly settings: TaskSettings
  readonly onCommit: (report: CommitReport) => void
  readonly onStep?: (step: CommitStep, partition: number) => void
}

export class Task {
  readonly partition: number
  readonly core: Refine
  /** Raw offset of the next record to process. */
  position: number
  /** End of the raw partition as the last fetch saw it. */
  endOffset: number
  /** As of the last commit: the next owner starts with them. */
  applied: CoreSettings
  readonly #deps: TaskDeps
  readonly #producer: TransactionalProducer
  readonly #outputs: BatchOutputs
  readonly #refusals: Refusals
  #snapshot: CommitMetadata['snapshot'] | null
  #committed: Ledger
  #committedPosition: number
  #failures = 0
  #lookupsUntil = 0
  #inputFrom: number
  #recordsSinceSnapshot = 0
  #snapshotAt: number
  #isLast = false
  #monoAtLastRecord: number

  constructor(
    deps: TaskDeps,
    partition: number,
    parts: {
      producer: TransactionalProducer
      core: Refine
      outputs: BatchOutputs
      refusals: Refusals
      /** Null for a new partition: its first transaction is a snapshot of the empty state. */
      snapshot: CommitMetadata['snapshot'] | null
      position: number
      endOffset: number
    },
  ) {
    this.partition = partition
    this.core = parts.core
    this.position = parts.position
    this.endOffset = parts.endOffset
    this.applied = parts.core.settings
    this.#deps = deps
    this.#producer = parts.producer
    this.#outputs = parts.outputs
    this.#refusals = parts.refusals
    this.#snapshot = parts.snapshot
    this.#committed = { ...parts.core.ledger }
    this.#committedPosition = parts.position
    this.#inputFrom = parts.position
    this.#snapshotAt = deps.clock.mono()
    this.#monoAtLastRecord = deps.clock.mono()
  }

  /** Commits the initial state: the settings used for the first records must survive. */
  async begin(): Promise<void> {
    if (this.#snapshot === null) await this.#commit()
  }

  /** Raw offset that is known to be committed. */
  get committedPosition(): number {
    return this.#committedPosition
  }

  /**
   * Processes a batch and commits it. Rejects when anything is in doubt; the task is dead then.
   * @returns null when done; else a promise of the registry's answer. It has then processed what it could, and
   *   needs the records from `position` on again
   */
  async work(fetched: FetchedBatch): Promise<{ readonly learning: Promise<void> } | null> {
    this.endOffset = fetched.endOffset
    this.#refusals.fetchedMs = this.#deps.clock.mono()
    this.#lookupsUntil = this.#refusals.fetchedMs + REGISTRY_BUDGET_MS
    for (const batch of fetched.batches) {
      const waiting = await this.#workThrough(batch)
      if (waiting === null) continue
      if (this.position > this.#committedPosition) await this.#commit()
      return waiting
    }
    this.position = Math.max(this.position, fetched.nextOffset)
    this.#monoAtLastRecord = this.#deps.clock.mono()
    if (this.position > this.#committedPosition) await this.#commit()
    return null
  }

  /** Rewrites the committed offset after somebody has deleted it. */
  async recommit(): Promise<void> {
    await this.#commit()
  }

  /**
   * Nothing is left to read below `position`: aborted records and markers at most, which no fetch returns. Commits it,
   * and a snapshot if due: retention may now remove all of an idle partition without losing anything needed.
   */
  async settle(position: number): Promise<void> {
    this.position = Math.max(this.position, position)
    if (this.position > this.#committedPosition || this.#snapshotDue(this.#deps.clock.mono())) await this.#commit()
  }

  /**
   * The last transaction of a clean stop takes a snapshot, so that the next start replays nothing: another version of the
   * core can then take over.
   */
  async finish(): Promise<void> {
    if (this.#snapshot !== null && this.#snapshot.input === this.position) return
    this.#isLast = true
    await this.#commit()
  }

  /** True when a wait is over by an estimate of the broker's clock, but no record arrives to show it. */
  needsTick(): boolean {
    const estimatedNow = this.core.now + (this.#deps.clock.mono() - this.#monoAtLastRecord)
    return this.core.due.next <= estimatedNow
  }

  async close(): Promise<void> {
    await this.#producer.close()
  }

  /** @returns null when done, or the registry lookups that it cannot continue without */
  async #workThrough(batch: RecordBatch): Promise<{ readonly learning: Promise<void> } | null> {
    let i = batch.firstAtOrAfter(this.position)
    while (i < batch.count) {
      const to = Math.min(i + STRIDE, batch.count)
      const reached = this.core.run(batch, i, to)
      if (reached > i) {
        this.position = batch.offset(reached - 1) + 1
        this.#recordsSinceSnapshot += reached - i
      }
      if (reached < to) {
        const waiting = await this.#lookUp(batch, reached)
        if (waiting !== null) return waiting
      }
      i = reached
      if (this.#outputs.byteLength > TRANSACTION_BYTES) await this.#commit()
    }
    return null
  }

  /**
   * Asks the registry for the unknown schemas of the records from `from` on. While it is down nobody can
   * tell a new schema from garbage, so nothing is decided; but other partitions must not wait for this one's answer.
   */
  async #lookUp(batch: RecordBatch, from: number): Promise<{ readonly learning: Promise<void> } | null> {
    const { plans, clock } = this.#deps
    const names = new Map<number | string, SchemaName>()
    for (let i = from; i < batch.count && names.size < LOOKUPS_MAX; i += 1) {
      const name = schemaNameOf(batch, i)
      if (name !== null && plans.mustAsk(name)) names.set('id' in name ? name.id : name.guid, name)
    }
    const learning = plans.learnAll(names.values(), this.#refusals.fetchedMs)
    learning.catch(() => undefined) // those who await it are notified
    const leftMs = this.#lookupsUntil - clock.mono()
    const isKnown = leftMs > 0 && (await fulfilsWithin(learning, leftMs, clock))
    return isKnown ? null : { learning }
  }

  async #commit(): Promise<void> {
    const { clock, settings, onCommit } = this.#deps
    const started = clock.mono()
    const transaction = await this.#producer.begin()
    this.#step('begun')
    const firsts: number[] = []
    for (const request of this.#outputs.requests()) {
      const offsets = await transaction.send(request)
      if (request[0].topic === settings.topics.clean) firsts.push(offsets[0])
    }
    this.#step('outputs-sent')
    if (firsts.length > 0) {
      await transaction.send([this.#extent(firsts[0])])
      this.#step('extent-sent')
    }
    const snapshotBytes = this.#snapshotDue(started) ? await this.#sendSnapshot(transaction) : 0
    const metadata = encodeMetadata({
      snapshot: this.#snapshot!,
      ledger: this.core.ledger,
      refusals: this.#refusals.entries(),
      above: [...this.#refusals.above.map(([highest, from]): [number, number] => [highest, from])],
    })
    const at = { topic: settings.topics.raw, partition: this.partition }
    await transaction.sendOffsets(settings.group, [{ ...at, offset: this.position, metadata }])
    this.#step('offset-sent')
    await transaction.commit()
    this.#step('committed')
    this.#outputs.clear()
    const delta = difference(this.core.ledger, this.#committed)
    this.#committed = { ...this.core.ledger }
    this.#committedPosition = this.position
    this.#inputFrom = this.position
    this.applied = this.core.settings
    const failures = this.core.failures - this.#failures
    this.#failures = this.core.failures
    onCommit({
      partition: this.partition,
      delta,
      failures,
      buffered: this.core.ledger.buffered,
      latencyMs: Math.max(0, clock.now() - this.core.now),
      commitMs: clock.mono() - started,
      snapshotBytes,
    })
  }

  #extent(firstOffset: number): OutgoingBatch {
    const records = new RecordBatchBuilder()
    const { cleanBatches, tsMin, tsMax } = this.#outputs
    const extent = {
      partition: this.partition,
      first_offset: firstOffset,
      count: cleanBatches.count,
      ts_min: tsMin,
      ts_max: tsMax,
      input_from: this.#inputFrom,
      input_to: this.position,
      arrival_ms: this.core.now,
    }
    records.add(
      Buffer.from(String(this.partition)),
      encodeFramed(extentType, this.#deps.settings.extentSchemaId, extent),
    )
    return { topic: this.#deps.settings.topics.extents, partition: this.partition, records }
  }

  #snapshotDue(mono: number): boolean {
    const { snapshotMs, snapshotRecords } = this.#deps.settings
    if (this.#snapshot === null || this.#isLast || this.#refusals.size >= REFUSALS_MAX) return true
    return (
      this.#recordsSinceSnapshot >= snapshotRecords ||
      (this.position > this.#snapshot.input && mono - this.#snapshotAt >= snapshotMs)
    )
  }

  /** Returns the bytes sent. */
  async #sendSnapshot(transaction: { send(batches: readonly OutgoingBatch[]): Promise<number[]> }): Promise<number> {
    const id = snapshotId(this.#deps.random)
    const slices = new SnapshotSlices(this.core, id, this.position)
    const at = { topic: this.#deps.settings.topics.snapshots, partition: this.partition }
    const records = new RecordBatchBuilder()
    let first = -1
    let bytes = 0
    for (let index = 0; index < slices.count; index += 1) {
      const value = encodeFramed(snapshotType, this.#deps.settings.snapshotSchemaId, slices.slice(index))
      records.clear()
      records.add(Buffer.from(`${this.partition}/${index}`), value)
      // The event loop turns with every request: heartbeats and the other partitions continue.
      const [offset] = await transaction.send([{ ...at, records }])
      if (first < 0) first = offset
      bytes += records.byteLength
    }
    this.#step('snapshot-sent')
    this.#snapshot = { offset: first, chunks: slices.count, id, input: this.position }
    this.#snapshotAt = this.#deps.clock.mono()
    this.#recordsSinceSnapshot = 0
    this.#refusals.clear()
    return bytes
  }

  #step(step: CommitStep): void {
    this.#deps.onStep?.(step, this.partition)
  }
}

/** Distinguishes snapshots at the same offset: an aborted transaction's, and that of its repetition. */
const snapshotId = (random: () => number): string =>
  `${random().toString(36).slice(2)}${random().toString(36).slice(2)}`

function difference(now: Ledger, before: Ledger): Ledger {
  const delta = emptyLedger()
  for (const name of LEDGER_NAMES) delta[name] = now[name] - before[name]
  return delta
}
