// How a process becomes the owner of a raw partition, and gets its state back:
//   1. a new transactional producer runs an empty transaction: the former owner's is aborted, and it is fenced
//   2. only then is the committed offset read, with the metadata that names the latest snapshot
//   3. the snapshot is loaded and the core re-run from the snapshot's input offset to the committed one, outputs
//      discarded; it must arrive at the ledger that was committed
// Contradictions here are fatal: continuing would silently lose or duplicate data.
import { schemaNameOf, type SchemaName, unknownGuidId } from '../../../platform/codec/framing.ts'
import type { ScanPlan } from '../../../platform/codec/reading-plan.ts'
import type { Admin, Kafka, OffsetRange, RangeReader, TransactionalProducer } from '../../../platform/kafka/port.ts'
import { CAREFUL_RECORDS } from '../core/careful.ts'
import { LEDGER_NAMES } from '../core/ledger.ts'
import { discard } from '../core/outputs.ts'
import { Refine } from '../core/refine.ts'
import type { CoreSettings } from '../core/settings.ts'
import { restoreSnapshot, schemaIdsOf } from '../core/snapshot.ts'
import { BatchOutputs } from './batch-outputs.ts'
import { type CommitMetadata, decodeMetadata, expectReplayable } from './commit-metadata.ts'
import { FatalRestoreError } from './fatal.ts'
import { type FetchSchema, Refusals, type SchemaPlans } from './plans.ts'
import { readSnapshot } from './snapshot-reader.ts'
import { Task, type TaskDeps } from './task.ts'

export interface AcquireDeps extends TaskDeps {
  readonly kafka: Kafka
  readonly admin: Admin
  readonly reader: RangeReader
  readonly fetchSchema: FetchSchema
  /** The settings that tasks should currently use. */
  readonly coreSettings: () => CoreSettings
  readonly transactionTimeoutMs: number
  readonly anomalySchemaId: number
  /** Whether the core has thrown on this partition, so that an exception must be undone. */
  readonly isCareful: (partition: number) => boolean
}

/** The process that has the producer of this id owns the partition. */
export const transactionalIdOf = (group: string, partition: number): string => `${group}-${partition}`

/**
 * Acquires a partition.
 * @returns the task, restored; its first transaction has not run yet (see Task.begin)
 * @throws FatalRestoreError when log, offset and snapshot contradict each other; KafkaError when it may be retried
 */
export async function acquire(deps: AcquireDeps, partition: number): Promise<Task> {
  const { kafka, settings, transactionTimeoutMs } = deps
  const producer = await kafka.transactionalProducer({
    transactionalId: transactionalIdOf(settings.group, partition),
    transactionTimeoutMs,
  })
  try {
    await producer.fence()
    return await restore(deps, partition, producer)
  } catch (error) {
    await producer.close().catch(() => undefined)
    throw error
  }
}

async function restore(deps: AcquireDeps, partition: number, producer: TransactionalProducer): Promise<Task> {
  const { admin, reader, settings } = deps
  const { topics } = settings
  const committed = (await admin.committedOffsets(settings.group, topics.raw))[partition] ?? null
  const raw = (await admin.offsetRanges(topics.raw))[partition]
  const metadata = committed === null ? null : decodeMetadata(committed.metadata, partition, committed.offset)
  const { core, outputs, refusals, goLive } = prepare(deps, partition, metadata)
  if (committed === null || metadata === null) await expectNoSnapshot(admin, reader, topics.snapshots, partition)
  else await rebuild(deps, core, partition, metadata, committed.offset, raw)
  goLive()
  return new Task(deps, partition, {
    producer,
    core,
    outputs,
    refusals,
    snapshot: metadata?.snapshot ?? null,
    position: committed?.offset ?? raw.start,
    endOffset: raw.end,
  })
}

/** A core that discards its outputs and repeats former decisions until it goes live. */
export function prepare(deps: AcquireDeps, partition: number, metadata: CommitMetadata | null) {
  const { plans, settings, coreSettings } = deps
  let live = false
  const refusals = Refusals.fromEntries(metadata?.refusals ?? [], metadata?.above)
  const planOf = (id: number, offset: number): ScanPlan | null | undefined => {
    // An offset of -1 asks for a reading that was accepted before and waits.
    if (!live && offset >= 0 && refusals.wasRefused(id, offset)) return null
    const known = plans.get(id)
    if (!live || offset < 0) return known ?? undefined
    const highest = known === undefined ? plans.above(id, refusals.fetchedMs) : null
    if (known === undefined && highest === null) return undefined
    refusals.decide(id, offset, known !== undefined && known !== null, highest)
    return known ?? null
  }
  const idOfGuid = (guid: string, offset: number): number | undefined => {
    const unknown = unknownGuidId(guid)
    if (!live && refusals.wasRefused(unknown, offset)) return unknown
    const id = plans.idOfGuid(guid)
    // In a replay it was accepted, so the registry must know it.
    if (!live) return id === unknown ? undefined : id
    if (id !== undefined && id !== unknown) refusals.decide(unknown, offset, true)
    return id
  }
  const outputs = new BatchOutputs(settings.topics, partition, deps.anomalySchemaId, plans)
  const core = new Refine(coreSettings(), planOf, partition, discard, idOfGuid)
  const isCareful = deps.isCareful(partition)
  core.careful = isCareful ? Infinity : 0
  const goLive = (): void => {
    live = true
    core.emitTo(outputs)
    core.careful = isCareful ? CAREFUL_RECORDS : 0
  }
  return { core, outputs, refusals, goLive }
}

/** An owner that died in a partition's first transaction leaves an aborted snapshot, which does not count. */
async function expectNoSnapshot(admin: Admin, reader: RangeReader, topic: string, partition: number): Promise<void> {
  const { start, end } = (await admin.offsetRanges(topic))[partition]
  await reader.read({ topic, partition }, start, end, ({ batches }) => {
    if (batches.every(({ count }) => count === 0)) return
    throw new FatalRestoreError(
      'SNAPSHOT_WITHOUT_OFFSET',
      `raw partition ${partition} has snapshots but no committed offset (an idle group's offsets expire): starting over would double everything; set the group's offset again, or delete ${topic}, clean and late to start over`,
      { topic, partition },
    )
  })
}

async function rebuild(
  deps: AcquireDeps,
  core: Refine,
  partition: number,
  metadata: CommitMetadata,
  committed: number,
  raw: OffsetRange,
): Promise<void> {
  const { snapshot, ledger } = metadata
  if (snapshot.input < raw.start) {
    throw new FatalRestoreError(
      'OFFSET_OUT_OF_RANGE',
      `raw partition ${partition} begins at ${raw.start}, after the snapshot's offset ${snapshot.input}: retention has removed records that are still needed; to continue without them, run plumbline partitions accept-loss ${deps.settings.topics.raw} ${partition}`,
      {
        topic: deps.settings.topics.raw,
        partition,
        offset: snapshot.input,
      },
    )
  }
  const { reader, fetchSchema, settings } = deps
  expectReplayable(metadata, { topic: settings.topics.raw, partition, offset: committed }, settings.group)
  const chunks = await readSnapshot(reader, fetchSchema, { topic: settings.topics.snapshots, partition }, snapshot)
  for (const id of schemaIdsOf(chunks)) await learn(deps.plans, { id })
  restoreSnapshot(core, chunks)
  await replay(deps, core, partition, snapshot.input, committed)
  const diverged = LEDGER_NAMES.filter((name) => core.ledger[name] !== ledger[name])
  if (diverged.length > 0) {
    const differences = diverged.map((name) => `${name} ${core.ledger[name]} instead of ${ledger[name]}`)
    throw new FatalRestoreError(
      'REPLAY_DIVERGED',
      `raw partition ${partition}: the replay from ${snapshot.input} to ${committed} gave ${differences.join(', ')}: raw or refine.snapshots is not what it was; run plumbline audit`,
      {
        topic: deps.settings.topics.raw,
        partition,
        offset: committed,
      },
    )
  }
}

async function replay(
  { reader, plans, settings }: AcquireDeps,
  core: Refine,
  partition: number,
  from: number,
  to: number,
): Promise<void> {
  let position = from
  await reader.read({ topic: settings.topics.raw, partition }, from, to, async ({ batches }) => {
    for (const batch of batches) {
      const end = batch.firstAtOrAfter(to)
      for (let i = batch.firstAtOrAfter(position); i < end;) {
        i = core.run(batch, i, end)
        if (i > 0) position = batch.offset(i - 1) + 1
        if (i < end) await learn(plans, schemaNameOf(batch, i)!)
      }
    }
  })
}

/** In a replay every schema has already been decided: an accepted one must be known to the registry. */
export async function learn(plans: SchemaPlans, name: SchemaName): Promise<void> {
  if (plans.mustAsk(name)) await plans.learn(name)
  const id = 'id' in name ? name.id : plans.idOfGuid(name.guid)
  if (id === undefined || plans.get(id) == null) {
    const text = 'id' in name ? `schema id ${name.id}` : `the schema with GUID ${name.guid}`
    throw new FatalRestoreError(
      'SCHEMA_GONE',
      `the registry no longer knows ${text}, with which readings were accepted: bring the registry's _schemas topic back`,
    )
  }
}
