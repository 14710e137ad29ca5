// The doctor's look at Kafka: topics, groups and, by the heartbeats, the members' clocks.
import { FramedDecoder } from '../../platform/codec/framed-decoder.ts'
import { cachedSchemas } from '../../platform/codec/register.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Config } from '../../platform/config.ts'
import { connectKafka } from '../../platform/kafka/kafkajs/client.ts'
import type { Admin, Kafka } from '../../platform/kafka/port.ts'
import { createLog } from '../../platform/log.ts'
import type { Heartbeat } from '../../platform/membership/heartbeat.ts'
import { CLEAN, EXTENTS, NODES, RAW, TOPICS } from '../../schemas/topics.ts'
import {
  checkAnswers,
  checkClocks,
  checkGroup,
  checkTopics,
  checkTransactions,
  type ClockFacts,
  type Finding,
  type GroupFacts,
  skipped,
} from './core/checks.ts'

type OpenAdmin = Awaited<ReturnType<Kafka['admin']>>

/** The broker answers at once or not at all; the client itself would retry for longer. */
const CONNECT_MS = 10_000
/** Records of `nodes` to read: enough for several heartbeats of every member of a usual cluster. */
const HEARTBEATS_MAX = 500
/** Older ones say nothing about the current clocks. */
const RECENT_MS = 120_000

export async function brokerFindings(config: Config): Promise<Finding[]> {
  const kafka = connectKafka(config, createLog('doctor', 'fatal'))
  const opened = await openAdmin(kafka)
  if (!('admin' in opened)) {
    const why = 'the broker does not answer'
    const broker = checkAnswers('broker', config.KAFKA_BROKERS, { ok: false, reason: opened.reason })
    return [broker, ...['topics', 'groups', 'transactions', 'clocks'].map((what) => skipped(what, why))]
  }
  const { admin } = opened
  try {
    const names = await admin.listTopics()
    const facts = await Promise.all(
      TOPICS.map(async ({ name, partitioning }) => ({
        name,
        partitioning,
        partitions: names.includes(name) ? await admin.partitionCount(name) : null,
      })),
    )
    const broker = checkAnswers('broker', config.KAFKA_BROKERS, { ok: true, value: `${names.length} topics` })
    const groups: Finding[] = []
    for (const [group, topic] of [
      [config.REFINE_GROUP, RAW],
      [config.SEQUENCER_GROUP, EXTENTS],
      [config.SINK_GROUP, CLEAN],
    ])
      if (names.includes(topic)) groups.push(checkGroup(await groupFacts(admin, group, topic)))
    const clocks = names.includes(NODES)
      ? await clockFinding(config, kafka, admin)
      : skipped('clocks', `there is no topic ${NODES} yet`)
    return [broker, checkTopics(facts), ...groups, await transactionFinding(admin, names), clocks]
  } finally {
    await admin.close()
  }
}

async function openAdmin(kafka: Kafka): Promise<{ readonly admin: OpenAdmin } | { readonly reason: string }> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`no answer within ${CONNECT_MS / 1_000} s`)), CONNECT_MS).unref()
  })
  try {
    return { admin: await Promise.race([kafka.admin(), late]) }
  } catch (error) {
    return { reason: messageOf(error) }
  }
}

async function transactionFinding(admin: Admin, names: readonly string[]): Promise<Finding> {
  const now = Date.now()
  try {
    const open = await Promise.all(
      [RAW, CLEAN, EXTENTS].filter((topic) => names.includes(topic)).map((topic) => admin.openTransactions(topic)),
    )
    return checkTransactions(open.flat().map((one) => ({ ...one, ageMs: now - one.sinceMs })))
  } catch (error) {
    return skipped('transactions', `the broker does not say: ${messageOf(error)}`)
  }
}

async function groupFacts(admin: Admin, group: string, topic: string): Promise<GroupFacts> {
  const [committed, ranges] = await Promise.all([admin.committedOffsets(group, topic), admin.offsetRanges(topic)])
  const partitions = ranges.map(({ start, end }, i) => ({ committed: committed[i]?.offset ?? null, start, end }))
  return { group, topic, partitions }
}

/** The broker's append time minus the sending member's clock: their difference plus the heartbeat's latency. */
async function clockFinding(config: Config, kafka: Kafka, admin: Admin): Promise<Finding> {
  const decoder = new FramedDecoder<Heartbeat>('heartbeat', cachedSchemas(config.REGISTRY_URL, config.API_TOKEN))
  const latest = new Map<string, ClockFacts>()
  const reader = await kafka.rangeReader()
  try {
    const [{ start, end }] = await admin.offsetRanges(NODES)
    let newestMs = 0
    const stamped: { readonly at: number; readonly facts: ClockFacts }[] = []
    await reader.read(
      { topic: NODES, partition: 0 },
      Math.max(start, end - HEARTBEATS_MAX),
      end,
      async ({ batches }) => {
        for (const batch of batches)
          for (let i = 0; i < batch.count; i += 1) {
            const value = batch.value(i)
            if (value === null) continue
            const { node_id: member, at } = await decoder.decode(value)
            const appendedMs = batch.timestamp(i)
            newestMs = Math.max(newestMs, appendedMs)
            stamped.push({ at: appendedMs, facts: { member, behindMs: appendedMs - at } })
          }
      },
    )
    for (const { at, facts } of stamped) if (newestMs - at <= RECENT_MS) latest.set(facts.member, facts)
    return checkClocks([...latest.values()])
  } catch (error) {
    return skipped('clocks', `heartbeats cannot be read: ${messageOf(error)}`)
  } finally {
    await reader.close()
  }
}
