// `plumbline partitions skip` and `accept-loss`: what an operator does when a partition cannot continue by itself. The repair
// itself is its owner's (refine, the sequencer, the store), under the owner's protocol; here it is explained and confirmed.
import { createInterface } from 'node:readline/promises'
import { systemClock } from '../../platform/clock.ts'
import { FramedDecoder } from '../../platform/codec/framed-decoder.ts'
import { cachedSchemas, registerSchemas } from '../../platform/codec/register.ts'
import { deadLetterHeaders } from '../../platform/dead-letters/headers.ts'
import { InputError } from '../../platform/errors.ts'
import type { RangeReader } from '../../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'
import type { Config } from '../../platform/config.ts'
import { openStore } from '../../platform/store/open.ts'
import { NO_ROWS } from '../../platform/store/port.ts'
import { ANOMALIES, CLEAN, DLQ, EXTENTS, LATE, RAW, REFINE_TOPICS } from '../../schemas/topics.ts'
import { ownFirst } from '../../stream-jobs/own-schemas.ts'
import type { AcquireDeps } from '../../stream-jobs/refine/runtime/acquire.ts'
import { RefineConfiguration } from '../../stream-jobs/refine/runtime/configuration.ts'
import { SchemaPlans } from '../../stream-jobs/refine/runtime/plans.ts'
import { acceptLoss, planSkip, skipRecord } from '../../stream-jobs/refine/runtime/repair.ts'
import { settingsOf, TRANSACTION_TIMEOUT_MS } from '../../stream-jobs/refine/runtime/service.ts'
import { acceptLostExtents, type OrderRepairDeps, skipExtent } from '../../stream-jobs/sequencer/runtime/repair.ts'
import { SEQUENCER_TOPICS, settingsOf as orderSettingsOf } from '../../stream-jobs/sequencer/runtime/service.ts'
import type { Connected } from '../with-kafka.ts'

/** Topics whose next reader can be stuck at one record. */
export const SKIP_TOPICS = [RAW, EXTENTS] as const
/** Topics from which records can be gone before their next reader has read them. */
export const LOSS_TOPICS = [RAW, EXTENTS, CLEAN, LATE, ANOMALIES] as const

const SINK_STAGE = 'sink'

export interface RepairOptions {
  readonly yes?: true
}

export async function skip(
  at: Connected,
  topic: (typeof SKIP_TOPICS)[number],
  partition: number,
  offset: number,
  { yes }: RepairOptions,
): Promise<void> {
  await expectPartition(at, topic, partition)
  await withReader(at, async (reader) => {
    if (topic === EXTENTS) {
      await confirm(`The order passes over offset ${offset} of ${topic}/${partition} if it cannot read it.`, yes)
      return say(await skipExtent(await orderDeps(at, reader), partition, offset))
    }
    const deps = await refineDeps(at, reader)
    const plan = await planSkip(deps, partition, offset)
    if (plan === null) return say({ text: `refine has passed offset ${offset} of ${topic}/${partition} already` })
    await confirm(`Moves into the dead letters, unread: ${plan.text}.`, yes)
    say(await skipRecord(deps, partition, offset))
  })
}

export async function acceptLossOf(
  at: Connected,
  topic: (typeof LOSS_TOPICS)[number],
  partition: number,
  { yes }: RepairOptions,
): Promise<void> {
  await expectPartition(at, topic, partition)
  await confirm(
    `Continues after the records of ${topic}/${partition} that were removed before they were read, if there are any.`,
    yes,
  )
  await withReader(at, async (reader) => {
    if (topic === RAW) say(await acceptLoss(await refineDeps(at, reader), partition))
    else if (topic === EXTENTS) say(await acceptLostExtents(await orderDeps(at, reader), partition))
    else say(await acceptInStore(at, topic, partition))
  })
}

/** The store refuses a step that does not begin at its offset, so a sink that runs meanwhile does no harm. */
async function acceptInStore(
  { config, admin, kafka }: Connected,
  topic: string,
  partition: number,
): Promise<{ text: string }> {
  const store = openStore(config, 'write')
  try {
    const saved = (await store.read((view) => view.progress())).find(
      (row) => row.topic === topic && row.partition === partition,
    )
    const { start } = (await admin.offsetRanges(topic))[partition]
    if (saved === undefined || saved.offset >= start)
      return { text: `${topic}/${partition} has lost nothing that the store still needs` }
    const message = `offsets ${saved.offset} to ${start - 1} of ${topic}/${partition} were removed (retention, or DeleteRecords) before the store had them; an operator has accepted the loss`
    await store.migrate()
    const records = new RecordBatchBuilder()
    const place = { topic, partition, offset: start - 1 }
    records.add(null, null, deadLetterHeaders({ ...place, stage: SINK_STAGE, reason: 'REMOVED_UNREAD', message }, []))
    const producer = await kafka.producer()
    await producer.send([{ topic: DLQ, partition, records }]).finally(() => producer.close())
    await store.write({ rows: NO_ROWS, anomalies: [], progress: [{ ...saved, offset: start, after: saved.offset }] })
    return { text: `${message}; the store continues at ${start}` }
  } finally {
    await store.close()
  }
}

async function refineDeps({ config, kafka, admin }: Connected, reader: RangeReader): Promise<AcquireDeps> {
  const { schemaIds, fetchSchema } = await schemasOf(config)
  const configuration = new RefineConfiguration(config, null)
  configuration.expectPartitions(await admin.partitionCount(RAW))
  return {
    kafka,
    admin,
    reader,
    fetchSchema,
    clock: systemClock,
    random: Math.random,
    plans: new SchemaPlans(fetchSchema, systemClock),
    settings: settingsOf({ config, topics: REFINE_TOPICS, schemaIds }),
    coreSettings: () => configuration.wanted,
    transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
    anomalySchemaId: schemaIds.get(ANOMALIES)!,
    isCareful: () => true,
    onCommit: () => undefined,
  }
}

async function orderDeps({ config, kafka, admin }: Connected, reader: RangeReader): Promise<OrderRepairDeps> {
  const { schemaIds, fetchSchema } = await schemasOf(config)
  return {
    kafka,
    admin,
    reader,
    fetchSchema,
    settings: orderSettingsOf({ config, topics: SEQUENCER_TOPICS, schemaIds }),
    extents: new FramedDecoder('extent', fetchSchema),
    transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
  }
}

async function schemasOf({ REGISTRY_URL, API_TOKEN }: Config) {
  const schemaIds = await registerSchemas(REGISTRY_URL, API_TOKEN)
  return { schemaIds, fetchSchema: ownFirst(schemaIds, cachedSchemas(REGISTRY_URL, API_TOKEN)) }
}

async function withReader({ kafka }: Connected, work: (reader: RangeReader) => Promise<void>): Promise<void> {
  const reader = await kafka.rangeReader()
  await work(reader).finally(() => reader.close())
}

async function expectPartition({ admin }: Connected, topic: string, partition: number): Promise<void> {
  const partitions = await admin.partitionCount(topic)
  if (partition >= partitions)
    throw new InputError(
      'UNKNOWN_PARTITION',
      'partition',
      `${topic} has partitions 0 to ${partitions - 1}, not ${partition}`,
    )
}

async function confirm(what: string, isAgreed: true | undefined): Promise<void> {
  if (isAgreed) return
  if (!process.stdin.isTTY)
    throw new InputError(
      'OPTIONS',
      '--yes',
      `${what} Nothing was changed: confirm it by --yes, as there is no terminal to ask on`,
    )
  const asking = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await asking.question(`${what} Continue? [y/N] `).finally(() => asking.close())
  if (!/^y(es)?$/i.test(answer.trim())) throw new InputError('OPTIONS', '--yes', 'nothing was changed')
}

const say = ({ text }: { readonly text: string }): void => void process.stdout.write(`${text}\n`)
