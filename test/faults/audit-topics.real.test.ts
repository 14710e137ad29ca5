// Damage planted in Kafka, for real: a whole pipeline has run and come to rest, and every partition gets one kind of damage,
// so that one audit judges them all. Each partition must be accused of exactly its damage; what is harmless, and the
// partitions that were left alone, of nothing.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ProblemCode } from '../../audit/core/findings.ts'
import type { AuditReport } from '../../audit/core/report.ts'
import { deadLetterHeaders } from '../../platform/dead-letters/headers.ts'
import { markRecord } from '../../platform/dead-letters/marks.ts'
import type { TransactionalProducer } from '../../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'
import { ANOMALIES, CLEAN, DLQ, DLQ_MARKS, EXTENTS, LATE, RAW } from '../../schemas/topics.ts'
import type { LoadRecord } from '../fixtures/load.ts'
import { partitionsIn, Planted } from '../fixtures/planted.ts'

interface Damage {
  readonly damage: string
  readonly plant: (partition: number) => Promise<void>
  /** Empty: nothing is wrong. */
  readonly codes: readonly ProblemCode[]
  readonly says?: RegExp
  /** The only seqs that may be named. */
  readonly seqs?: readonly string[]
}

/** Partitions that are damaged at a time. */
const AT_ONCE = 6

let planted: Planted
let report: AuditReport
const open: TransactionalProducer[] = []

const copyLast = async (topic: string, partition: number): Promise<void> => {
  const { key, value, headers } = (await planted.records(topic, partition)).at(-1)!
  const own = Object.entries(headers).map(([name, text]) => ({ key: name, value: text }))
  await planted.append(topic, partition, [{ key, value, headers: own }])
}
const of = (partition: number) => planted.sensors[partition]

async function transaction(topic: string, partition: number, end: 'abort' | 'leave open'): Promise<void> {
  const producer = await planted.stack.kafka.transactionalProducer({
    transactionalId: `foreign-${topic}-${partition}`,
    transactionTimeoutMs: 60_000,
  })
  const begun = await producer.begin()
  const records = new RecordBatchBuilder()
  const { key, value } = planted.record(of(partition).a, 700)
  records.add(key, value)
  await begun.send([{ topic, partition, records }])
  if (end === 'leave open') return void open.push(producer)
  await begun.abort()
  await producer.close()
}

/** Commits as refine, with what it has committed changed. */
async function forge(partition: number, change: (metadata: Metadata) => void, move = 0): Promise<void> {
  const [at] = (await planted.stack.admin.committedOffsets('refine', RAW)).slice(partition)
  const metadata = JSON.parse(at!.metadata) as Metadata
  change(metadata)
  await planted.commit(partition, at!.offset + move, JSON.stringify(metadata), RAW, 'refine')
}
interface Metadata {
  ledger: Record<string, number>
  snapshot: { id: string }
}

const FOREIGN: readonly ProblemCode[] = ['BEYOND_LEDGER', 'IN_NO_EXTENT']
const DAMAGES: readonly Damage[] = [
  { damage: 'nothing', plant: async () => undefined, codes: [] },
  {
    damage: 'faults 7: a foreign copy in clean with another value; its original is not accused',
    plant: (p) => planted.append(CLEAN, p, [planted.record(of(p).a, 30, { temperature_c: 77 })]),
    codes: [...FOREIGN, 'CHANGED', 'TIME_NOT_INCREASING', 'TWICE'],
    says: /epoch 1 seq 30 has other bytes in clean than in raw/,
    seqs: ['30'],
  },
  {
    damage: 'faults 7: a record of clean is there again, to the byte',
    plant: (p) => planted.append(CLEAN, p, [planted.record(of(p).b, 31)]),
    codes: [...FOREIGN, 'TIME_NOT_INCREASING', 'TWICE'],
    says: /offset \d+: t1\/p\d+-\d+ epoch 1 seq 31 ts \d+ is in clean twice/,
    seqs: ['31'],
  },
  {
    damage: 'faults 7: a reading in clean that never was',
    plant: (p) => planted.append(CLEAN, p, [planted.record(of(p).a, 500)]),
    codes: [...FOREIGN, 'NOT_IN_RAW'],
    says: /epoch 1 seq 500 is in clean and not in raw/,
    seqs: ['500'],
  },
  {
    damage: 'garbage in clean',
    plant: (p) => planted.append(CLEAN, p, [{ key: Buffer.from('x'), value: Buffer.from('y') }]),
    codes: [...FOREIGN, 'UNREADABLE'],
    says: /telemetry\.clean\/\d+ offset \d+ is not a valid reading/,
  },
  {
    damage: 'a tombstone in clean',
    plant: (p) => planted.append(CLEAN, p, [{ key: planted.record(of(p).a, 0).key, value: null }]),
    codes: [...FOREIGN, 'UNREADABLE'],
  },
  {
    damage: 'faults 1: a number was given out twice, too long ago for refine to know',
    plant: async () => undefined,
    codes: ['CONFLICT'],
    says: /epoch 1 seq 2 is in raw more than once with different bytes; only the first were taken/,
    seqs: ['2'],
  },
  { damage: 'a dead letter is there twice', plant: (p) => copyLast(DLQ, p), codes: ['BEYOND_LEDGER'] },
  {
    damage: 'a dead letter that names nothing',
    plant: (p) => planted.append(DLQ, p, [{ key: null, value: Buffer.from('x') }]),
    codes: ['UNREADABLE'],
    says: /telemetry\.dlq\/\d+ offset \d+ is not a valid dead letter/,
  },
  {
    damage: 'a dead letter of the sink is forged for a reading in clean, with other bytes',
    plant: async (p) => {
      const { offset } = (await planted.records(CLEAN, p))[20]
      const refusal = { topic: CLEAN, partition: p, offset, stage: 'TASK_PUT', reason: 'FORGED', message: '' }
      await planted.append(DLQ, p, [{ key: null, value: Buffer.from('x'), headers: deadLetterHeaders(refusal, []) }])
    },
    codes: ['CHANGED'],
    says: /the dead letter of telemetry\.clean\/\d+ offset \d+ has other bytes than it/,
  },
  {
    damage: 'a dead letter is deleted',
    plant: (p) => planted.remove(DLQ, p, -1),
    codes: ['NOT_DEAD_LETTERED'],
    says: /has no dead letter any more: telemetry\.dlq was removed below offset \d+/,
  },
  {
    damage: 'a dead letter is marked as replayed, and was not',
    plant: async (p) => {
      const [{ offset }] = await planted.records(DLQ, p)
      await planted.append(DLQ_MARKS, p, [markRecord({ partition: p, offset }, 'replayed')])
    },
    codes: ['REPLAY_MISSING'],
  },
  {
    damage: 'faults 2: raw is cut before refine has read it',
    plant: async (p) => {
      await planted.append(
        RAW,
        p,
        [300, 301, 302].map((seq) => planted.record(of(p).a, seq)),
      )
      await planted.remove(RAW, p, -1)
    },
    codes: ['REMOVED_UNREAD'],
    says: /telemetry\.raw\/\d+ offsets \d+–\d+ were removed .* before refine had read them: up to 3 records are lost/,
  },
  {
    damage: 'faults 2: extents are cut before the sequencer has read them',
    plant: async (p) => {
      // One offset alone might be the marker of a transaction.
      const value = Buffer.from('?')
      await planted.append(
        EXTENTS,
        p,
        [1, 2].map(() => ({ key: null, value })),
      )
      await planted.remove(EXTENTS, p, -1)
    },
    codes: ['REMOVED_UNREAD'],
    says: /telemetry\.extents\/\d+ offsets \d+–\d+ were removed .* before the sequencer had read them/,
  },
  {
    damage: 'an extent is there twice',
    plant: (p) => copyLast(EXTENTS, p),
    codes: ['EXTENT_DIFFERS', 'EXTENT_OVERLAP', 'ORDER_DIFFERS'],
  },
  {
    damage: 'garbage among the extents; the sound ones are still compared',
    plant: (p) => planted.append(EXTENTS, p, [{ key: null, value: Buffer.from('?') }]),
    codes: ['UNREADABLE'],
    says: /telemetry\.extents\/\d+ offset \d+ is not a valid record/,
  },
  { damage: 'an anomaly is forged', plant: (p) => copyLast(ANOMALIES, p), codes: ['BEYOND_LEDGER'] },
  {
    damage: 'garbage among the anomalies',
    plant: (p) => planted.append(ANOMALIES, p, [{ key: null, value: Buffer.from('?') }]),
    codes: ['BEYOND_LEDGER', 'UNREADABLE'],
  },
  {
    damage: 'counters of refine are forged, and balance',
    plant: (p) =>
      forge(p, ({ ledger }) => {
        ledger.emitted -= 1
        ledger.duplicate += 1
      }),
    codes: ['BEYOND_LEDGER', 'LEDGER_DIFFERS'],
  },
  {
    damage: 'a counter of refine is forged that is part of another one',
    plant: (p) => forge(p, ({ ledger }) => void (ledger.correction -= 1)),
    codes: ['BEYOND_LEDGER'],
    says: /1 records of late with the reason correction, 1 more than refine has counted/,
  },
  {
    damage: 'the count of anomalies is forged',
    plant: (p) => forge(p, ({ ledger }) => void (ledger.anomalies += 1)),
    codes: ['LEDGER_DIFFERS'],
    says: /2 anomalies; refine has counted 3/,
  },
  {
    damage: "refine's offset is moved back",
    plant: (p) => forge(p, () => undefined, -3),
    codes: ['LEDGER_DIFFERS'],
    says: /raw records below the committed offset; refine has counted/,
  },
  {
    damage: "refine's offset is reset by a tool",
    plant: (p) => planted.commit(p, 5, '', RAW, 'refine'),
    codes: ['FOREIGN_OFFSET'],
    says: /committed offset 5 of raw partition \d+ carries no ledger/,
  },
  {
    damage: 'the snapshot is another one',
    plant: (p) => forge(p, ({ snapshot }) => void (snapshot.id = 'forged')),
    codes: ['SNAPSHOT_MISSING'],
    says: /refine\.snapshots\/\d+ offset \d+: snapshot forged has 0 of 1 chunks/,
  },
  {
    damage: "the sequencer's offset is reset by a tool",
    plant: (p) => planted.commit(p, 0, '', EXTENTS, 'sequencer'),
    codes: ['FOREIGN_OFFSET'],
    says: /the sequencer's committed offset 0 of telemetry\.extents\/\d+ carries no sequence/,
  },
  {
    damage: 'K3: a reading is in raw and clean of a partition where it does not belong, as well',
    plant: async (p) => {
      const record = planted.record(of(0).b, 40)
      await planted.append(RAW, p, [record])
      await planted.append(CLEAN, p, [record])
    },
    codes: [...FOREIGN, 'TWICE'],
    says: /t1\/p0-\d+ epoch 1 seq 40 ts \d+ is in telemetry\.clean\/0 \(offset \d+\) and in telemetry\.clean\/\d+/,
    seqs: ['40'],
  },
  // What is harmless, and must be said to be.
  { damage: 'K2: an open transaction in raw', plant: (p) => transaction(RAW, p, 'leave open'), codes: [] },
  { damage: 'an open transaction in clean', plant: (p) => transaction(CLEAN, p, 'leave open'), codes: [] },
  { damage: 'an aborted transaction in raw', plant: (p) => transaction(RAW, p, 'abort'), codes: [] },
  { damage: 'an aborted transaction in clean', plant: (p) => transaction(CLEAN, p, 'abort'), codes: [] },
  { damage: 'raw is cut after it was read', plant: (p) => planted.remove(RAW, p, 50), codes: [] },
  { damage: 'clean is cut after it was stored', plant: (p) => planted.remove(CLEAN, p, 50), codes: [] },
  { damage: 'clean is removed entirely after it was stored', plant: (p) => planted.remove(CLEAN, p, -1), codes: [] },
  { damage: 'late is removed after it was stored', plant: (p) => planted.remove(LATE, p, -1), codes: [] },
  {
    damage: 'extents are removed after they were put in order',
    plant: (p) => planted.remove(EXTENTS, p, -1),
    codes: [],
  },
  {
    damage: 'a reading is sent again, and refine has not read it yet',
    plant: (p) => planted.append(RAW, p, [planted.record(of(p).a, 3)]),
    codes: [],
  },
  { damage: 'nothing, again', plant: async () => undefined, codes: [] },
]
const at = (damage: string): number => DAMAGES.findIndex((one) => one.damage === damage)

/** Seq 2 once more, with another value: more numbers have come since than refine remembers. */
const reused = (all: Planted): LoadRecord[] => [
  all.record(all.sensors[DAMAGES.findIndex(({ codes }) => codes.includes('CONFLICT'))].b, 2, { temperature_c: 5 }),
]

beforeAll(async () => {
  planted = await Planted.start(DAMAGES.length, reused)
  // The original of the reading in two partitions is in partition 0: everything else keeps to its own.
  for (let from = 0; from < DAMAGES.length; from += AT_ONCE)
    await Promise.all(DAMAGES.slice(from, from + AT_ONCE).map(({ plant }, i) => plant(from + i)))
  report = await planted.audit()
})
afterAll(async () => {
  await Promise.allSettled(open.map((producer) => producer.close()))
  await planted?.stop()
})

const text = ({ problems }: AuditReport): string =>
  problems.map(({ code, message }) => `${code}: ${message}`).join('\n')

describe('X-2, faults 1, 2, 3, 7, K2, K3: damage in the topics', () => {
  it.each(DAMAGES.map((damage, partition) => ({ ...damage, partition })))(
    '$damage',
    ({ codes, says, seqs, partition }) => {
      const mine = report.problems.filter(({ message }) => partitionsIn(message).includes(partition))
      // The intact original of the reading that is in two partitions is named as the other place.
      const own = partition === 0 ? mine.filter(({ message }) => !message.includes('and in telemetry.clean/')) : mine
      const messages = own.map(({ code, message }) => `${code}: ${message}`).join('\n')
      expect([...new Set(own.map(({ code }) => code))].sort(), messages).toEqual([...codes].sort())
      if (says !== undefined) expect(messages).toMatch(says)
      if (seqs !== undefined)
        for (const [, seq] of messages.matchAll(/seq ([\d–]+)/g)) expect(seqs, messages).toContain(seq)
    },
  )

  it('every problem belongs to a partition, and the list is not cut short', () => {
    for (const { code, message } of report.problems)
      expect(partitionsIn(message), `${code}: ${message}`).not.toEqual([])
    expect(report.problemCount).toBe(report.problems.length)
    expect(report.balanced).toBe(false)
  })

  it('K2: the open transaction is named with its owner, and what it holds back is in flight', () => {
    const partition = at('K2: an open transaction in raw')
    expect(report.notes.join('\n')).toMatch(
      new RegExp(
        `transactional id foreign-telemetry.raw-${partition}\\) holds back telemetry.raw/${partition} from offset`,
      ),
    )
  })

  it('faults 2: records removed from clean before the store had them are proved lost by offsets alone', async () => {
    const behind = await planted.audit(planted.earlierStoreFile)
    const lost = at('clean is removed entirely after it was stored')
    const kept = at('clean is cut after it was stored')
    expect(text(behind)).toMatch(
      new RegExp(
        `REMOVED_UNREAD: telemetry.clean/${lost} offsets \\d+–\\d+ were removed .* before the store had read them`,
      ),
    )
    expect(text(behind)).not.toContain(`REMOVED_UNREAD: telemetry.clean/${kept} `)
  })

  it('faults 3: where topics were cut, what they still have is compared with the store', async () => {
    const [clean, late] = ['clean is cut after it was stored', 'late is removed after it was stored'].map(at)
    const ids = planted.sensorIds()
    const when = planted.startMs + 9_000
    const change = (partition: number): string =>
      `UPDATE readings SET temperature_c = 1 WHERE sensor_id = ${ids.get(of(partition).b)} AND ts = ${when};`
    const file = planted.storeWith(change(clean) + change(late))
    const found = await planted.audit(file, { deep: true })
    for (const partition of [clean, late])
      expect(text(found)).toContain(
        `STORE_DIFFERS: t1/${of(partition).b} epoch 1 seq 90 ts ${when}: temperature_c is 1 in the store; it must be`,
      )
    const others = found.problems.filter(
      ({ code, message }) => code.startsWith('STORE') && !partitionsIn(message).some((p) => p === clean || p === late),
    )
    expect(others).toEqual([])
    expect(found.notes.join('\n')).toMatch(/rows of the store are older/)
    expect(found.notes.join('\n')).toMatch(/2 rows of the store were changed by records of late that have been removed/)
  })
})
