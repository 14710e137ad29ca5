// The audit over a whole pipeline that has settled: damage is planted in the broker's logs, the store and what is
// around them, and the audit, reading them as it reads real ones, must report it. This file has the faults found while
// the inputs are read, and some others end to end; audit/faults.test.ts has those of the pure judges.
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import type { ProblemCode } from '../audit/core/findings.ts'
import type { AuditReport } from '../audit/core/report.ts'
import type { ScannedCode } from '../audit/core/partition.test-support.ts'
import { KafkaError } from '../platform/errors.ts'
import type { Kafka } from '../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../platform/kafka/record-batch/builder.ts'
import { CLEAN, ORDER, RAW, SNAPSHOTS } from '../schemas/topics.ts'
import { auditOf } from './checks/all.ts'
import { committed } from './checks/evidence.ts'
import { runSeed } from './run.ts'
import type { World } from './world.ts'

/** A seed with a store, late readings, anomalies and dead letters in its world. */
const SEED = 3

interface Planted {
  readonly fault: string
  readonly plant: (world: World) => void | Promise<void>
  readonly says: RegExp
  /** The broker as the audit sees it. */
  readonly through?: (kafka: Kafka) => Kafka
}

const inStore =
  (sql: string) =>
  ({ config }: World): void => {
    const db = new DatabaseSync(config.SQLITE_FILE)
    db.exec(sql)
    db.close()
  }

async function copy(world: World, topic: string, from: string): Promise<void> {
  const { key, value, partition } = committed(world.broker, from)[0]
  const producer = await world.observer().producer()
  const records = new RecordBatchBuilder()
  records.add(key, value)
  await producer.send([{ topic, partition, records }])
}

const unreadable = (kafka: Kafka): Kafka => ({
  ...kafka,
  rangeReader: async () => {
    const reader = await kafka.rangeReader()
    return {
      read: (at, from, to, onBatch) =>
        at.topic === RAW && at.partition === 0
          ? Promise.reject(new KafkaError('LEADER_NOT_AVAILABLE', 'no leader', at))
          : reader.read(at, from, to, onBatch),
      follow: (...args) => reader.follow(...args),
      close: () => reader.close(),
    }
  },
})

/** Its offsets have expired, or were deleted. */
const withoutOffsets =
  (group: string) =>
  (kafka: Kafka): Kafka => ({
    ...kafka,
    admin: async () => {
      const admin = await kafka.admin()
      const asked = admin.committedOffsets.bind(admin)
      return Object.assign(admin, {
        committedOffsets: async (of: string, topic: string) =>
          of === group ? (await admin.offsetRanges(topic)).map(() => null) : asked(of, topic),
      })
    },
  })

const SCANNED: Readonly<Record<ScannedCode, Planted>> = {
  OFFSET_MISSING: {
    fault: "refine's offsets are deleted",
    plant: () => undefined,
    through: withoutOffsets('refine'),
    says: /refine has no committed offset for telemetry\.raw\/\d, although it has written outputs/,
  },
  SNAPSHOT_MISSING: {
    fault: 'a snapshot is removed',
    plant: ({ broker }) => broker.removeBefore(SNAPSHOTS, 0, Infinity),
    says: /refine\.snapshots\/0 offset \d+: snapshot \S+ is not there; refine cannot restore partition 0 from it/,
  },
  STORE_COUNTERS: {
    fault: 'a counter of the store is reduced',
    plant: inStore('UPDATE lanes SET count = count - 1 WHERE count > 1'),
    says: /the store's counters say \d+ readings of \S+; it has \d+/,
  },
  ANOMALIES_DIFFER: {
    fault: 'an anomaly is added to the store',
    plant: inStore(
      "INSERT INTO anomalies (tenant, sensor, ts, metric, detector, site, node, epoch, seq, window_count) VALUES ('t', 's', 1, 'm', 'd', 's', 'n', 1, 1, 1)",
    ),
    says: /the store has \d+ anomalies; telemetry\.anomalies has \d+ up to the sink's offsets; those of 1 sensors differ/,
  },
  ORDER_INCONSISTENT: {
    fault: 'a record of the order is there twice',
    plant: (world) => copy(world, ORDER, ORDER),
    says: /the order is inconsistent: the order record at offset \d+ begins again at sequence 0/,
  },
  TOPIC_UNREADABLE: {
    fault: 'a partition of raw has no leader',
    plant: () => undefined,
    through: unreadable,
    says: /telemetry\.raw\/0 cannot be read from offset \d+ on/,
  },
  BROKER_UNAVAILABLE: {
    fault: 'the broker stays away',
    plant: ({ broker }) => void broker.restart(3_600_000),
    says: /start it by "plumbline up", or set KAFKA_BROKERS/,
  },
  REGISTRY_UNAVAILABLE: {
    fault: 'the registry is away',
    plant: ({ registry }) => void (registry.isAway = true),
    says: /cannot be read from offset \d+ on|schema \d+ cannot be fetched/,
  },
  STORE_UNAVAILABLE: {
    fault: 'the store has lost a table',
    plant: inStore('DROP TABLE progress'),
    says: /the SQLite file \S+ cannot be read/,
  },
}

const OTHERS: readonly (Planted & { readonly code: ProblemCode })[] = [
  {
    code: 'NOT_DEAD_LETTERED',
    fault: 'a byte of raw is another one',
    plant: ({ broker }) => broker.damage(RAW, 0),
    says: /telemetry\.raw\/0 offset \d+ is not a valid reading and has no dead letter/,
  },
  {
    code: 'MISSING',
    fault: 'a batch is deleted from clean',
    plant: ({ broker }) => {
      const { partition, offset } = committed(broker, CLEAN)[2]
      broker.removeBatch(CLEAN, partition, offset)
    },
    says: /is in raw and in no output/,
  },
  {
    code: 'STORE_DIFFERS',
    fault: 'a value of the store is changed',
    plant: inStore('UPDATE readings SET temperature_c = 99 WHERE ts = (SELECT max(ts) FROM readings)'),
    says: /temperature_c is 99 in the store; it must be|have other times or values/,
  },
  {
    code: 'STORE_DIFFERS',
    fault: 'a row of the store is moved by a millisecond',
    plant: inStore('UPDATE readings SET ts = ts + 1 WHERE ts = (SELECT max(ts) FROM readings)'),
    says: /have other times or values/,
  },
  {
    code: 'TWICE',
    fault: 'a record of clean is there twice',
    plant: (world) => copy(world, CLEAN, CLEAN),
    says: /is in clean twice/,
  },
  {
    code: 'NOT_IN_RAW',
    fault: 'raw has lost a batch in its middle',
    plant: ({ broker }) => {
      const reading = committed(broker, CLEAN)[0]
      const raw = committed(broker, RAW).find(({ value }) => value?.equals(reading.value!) === true)!
      broker.removeBatch(RAW, raw.partition, raw.offset)
    },
    says: /is in clean and not in raw partition/,
  },
  {
    code: 'REMOVED_UNREAD',
    fault: 'the store is put back, and clean is cut in front of it',
    plant: (world) => {
      inStore(`DELETE FROM progress WHERE topic = '${CLEAN}'`)(world)
      const { partition, offset } = committed(world.broker, CLEAN)[0]
      world.broker.removeBefore(CLEAN, partition, offset + 1)
    },
    says: /telemetry\.clean\/\d offsets 0–\d+ were removed/,
  },
]

const faults = [
  ...Object.entries(SCANNED).map(([code, planted]) => ({ ...planted, code: code as ProblemCode })),
  ...OTHERS,
]

describe('the audit over a whole pipeline (X-2)', () => {
  it.each(faults)(
    '$code: $fault',
    async ({ code, plant, says, through }) => {
      let report: AuditReport | null = null
      const plantAndAudit = async (world: World): Promise<void> => {
        expect((await auditOf(world)).problems).toEqual([])
        await plant(world)
        report = await auditOf(world, through?.(world.observer()))
      }
      const { failures } = await runSeed(SEED, { plant: plantAndAudit })
      expect(report, JSON.stringify(failures)).toMatchObject({ balanced: false })
      const { problems } = report as unknown as AuditReport
      expect(problems.map((problem) => problem.code)).toContain(code)
      const said = problems.filter((problem) => problem.code === code).map(({ message }) => message)
      expect(said.join('\n')).toMatch(says)
    },
    60_000,
  )
})
