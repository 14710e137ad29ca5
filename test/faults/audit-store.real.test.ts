// Damage planted in the store, for real: a whole pipeline has run and come to rest, a copy of its SQLite file is changed,
// and the audit must say what is wrong with it, and with --deep which reading. Nothing else may be accused.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ProblemCode } from '../../audit/core/findings.ts'
import { Planted } from '../fixtures/planted.ts'

const PARTITIONS = 2

let planted: Planted
beforeAll(async () => {
  planted = await Planted.start(PARTITIONS)
})
afterAll(() => planted?.stop())

interface Damage {
  readonly damage: string
  /** With :a, :b and :u for ids of the sensors of partition 0, and :at for an event time (that of seq 30). */
  readonly sql: string
  readonly codes: readonly ProblemCode[]
  /** With --deep. */
  readonly says: RegExp
}

const DAMAGES: readonly Damage[] = [
  {
    damage: 'a row is moved by a millisecond',
    sql: 'UPDATE readings SET ts = ts + 1 WHERE sensor_id = :a AND ts = :at',
    codes: ['NOT_IN_STORE', 'STORE_DIFFERS', 'STORE_EXCESS'],
    says: /t1\/p0-\d+ ts \d+ \(epoch 1 seq 30\) is not in the store/,
  },
  {
    damage: 'a value is changed in its last bit',
    sql: 'UPDATE readings SET temperature_c = temperature_c + 3.6e-15 WHERE sensor_id = :a AND ts = :at',
    codes: ['STORE_DIFFERS'],
    says: /epoch 1 seq 30 ts \d+: temperature_c is \S+ in the store; it must be/,
  },
  {
    damage: 'a value is erased',
    sql: 'UPDATE readings SET temperature_c = NULL WHERE sensor_id = :a AND ts = :at',
    codes: ['STORE_DIFFERS'],
    says: /epoch 1 seq 30 ts \d+: temperature_c is not there in the store/,
  },
  {
    damage: 'a value is put where there was none',
    sql: 'UPDATE readings SET humidity_pct = 0 WHERE sensor_id = :a AND ts = :at',
    codes: ['STORE_DIFFERS'],
    says: /humidity_pct is 0 in the store; it must be not there/,
  },
  {
    damage: 'two rows of a sensor exchange their values',
    sql: `CREATE TEMP TABLE two AS SELECT ts, temperature_c AS t FROM readings WHERE sensor_id = :a AND ts IN (:at, :at + 100);
      UPDATE readings SET temperature_c = (SELECT t FROM two WHERE two.ts = 2 * :at + 100 - readings.ts)
      WHERE sensor_id = :a AND ts IN (:at, :at + 100)`,
    codes: ['STORE_DIFFERS'],
    says: /epoch 1 seq 31 ts \d+: temperature_c is/,
  },
  {
    damage: 'two sensors exchange a row',
    sql: `UPDATE readings SET sensor_id = 999 WHERE ts = :at AND sensor_id = :a;
      UPDATE readings SET sensor_id = :a WHERE ts = :at AND sensor_id = :b; UPDATE readings SET sensor_id = :b WHERE sensor_id = 999`,
    codes: ['STORE_DIFFERS'],
    says: /epoch 1 seq 30 ts \d+: temperature_c is/,
  },
  {
    damage: 'two sensors exchange all their rows, so that every sum over both is as before',
    sql: `UPDATE readings SET sensor_id = 999 WHERE sensor_id = :a; UPDATE readings SET sensor_id = :a WHERE sensor_id = :b;
      UPDATE readings SET sensor_id = :b WHERE sensor_id = 999`,
    codes: ['STORE_DIFFERS'],
    says: /t1\/p0-\d+ epoch 1 seq 2 ts \d+: temperature_c is/,
  },
  {
    damage: 'a row is deleted, and its counter with it',
    sql: 'DELETE FROM readings WHERE sensor_id = :a AND ts = :at; UPDATE lanes SET count = count - 1 WHERE sensor_id = :a',
    codes: ['NOT_IN_STORE'],
    says: /epoch 1 seq 30\) is not in the store/,
  },
  {
    damage: 'a row is deleted, and another one added',
    sql: 'UPDATE readings SET ts = ts + 1000000, seq = 5000 WHERE sensor_id = :a AND ts = :at',
    codes: ['NOT_IN_STORE', 'STORE_COUNTERS', 'STORE_DIFFERS', 'STORE_EXCESS'],
    says: /ts \d+ \(epoch 1 seq 5000\) is in the store, and neither in clean nor in late/,
  },
  {
    damage: 'a row has the number of another one',
    sql: 'UPDATE readings SET seq = 31 WHERE sensor_id = :a AND ts = :at',
    codes: ['STORE_DIFFERS'],
    says: /epoch 1 seq 30 ts \d+ is in the store as epoch 1 seq 31/,
  },
  {
    damage: 'a row is said to come from another site',
    sql: `INSERT INTO sources (id, site, node, tags, site_id) VALUES (999, 'elsewhere', 'n1', '{}', 1);
      UPDATE readings SET source_id = 999 WHERE sensor_id = :a AND ts = :at`,
    codes: ['STORE_DIFFERS'],
    says: /epoch 1 seq 30 ts \d+: site is "elsewhere" in the store; it must be "s1"/,
  },
  {
    damage: 'a row gets a tag',
    sql: `INSERT INTO sources (id, site, node, tags, site_id) VALUES (999, 's1', 'n1', '{"k":"v"}', 1);
      UPDATE readings SET source_id = 999 WHERE sensor_id = :a AND ts = :at`,
    codes: ['STORE_DIFFERS'],
    says: /epoch 1 seq 30 ts \d+: tags are \{"k":"v"\} in the store; they must be \{\}/,
  },
  {
    damage: 'a correction is undone',
    sql: 'UPDATE readings SET temperature_c = 2 WHERE sensor_id = :u AND temperature_c = 99',
    codes: ['STORE_DIFFERS'],
    says: /temperature_c is 2 in the store; it must be 99/,
  },
  {
    damage: 'a sensor is invented',
    sql: `INSERT INTO sensors (id, tenant, name) VALUES (999, 't1', 'ghost');
      INSERT INTO readings (sensor_id, ts, version, epoch, seq, source_id, arrival) VALUES (999, 1, 0, 1, 0, 1, 1);
      INSERT INTO lanes VALUES (999, 1, 1, 0, 0)`,
    codes: ['STORE_EXCESS'],
    says: /t1\/ghost ts 1 \(epoch 1 seq 0\) is in the store, and neither in clean nor in late/,
  },
  {
    damage: 'a counter is reduced',
    sql: 'UPDATE lanes SET count = count - 1 WHERE sensor_id = :a',
    codes: ['STORE_COUNTERS'],
    says: /counters say 99 readings of t1\/p0-\d+; it has 100/,
  },
  {
    damage: 'the greatest number of an epoch is reduced, so that a gap looks complete',
    sql: 'UPDATE lanes SET max_seq = 50 WHERE sensor_id = :a',
    codes: ['STORE_COUNTERS'],
    says: /counters say 51 numbers of t1\/p0-\d+ from first to last; its rows span 100/,
  },
  {
    damage: 'all anomalies of a partition are deleted',
    sql: `DELETE FROM anomalies WHERE sensor LIKE 'p0-%'`,
    codes: ['ANOMALIES_DIFFER'],
    says: /the store lacks the anomaly of t1\/p\d-\d+ ts \d+ temperature_c \(zscore\)/,
  },
  {
    damage: 'the score of one anomaly is altered',
    sql: `UPDATE anomalies SET score = score + 0.001 WHERE (tenant, sensor, ts) IN (SELECT tenant, sensor, ts FROM anomalies WHERE sensor LIKE 'p0-%' LIMIT 1)`,
    codes: ['ANOMALIES_DIFFER'],
    says: /the anomaly of t1\/p\d-\d+ ts \d+ temperature_c \(zscore\) has score \S+ in the store; it must be/,
  },
  {
    damage: 'an anomaly is deleted, and another one added',
    sql: `UPDATE anomalies SET ts = ts + 1 WHERE (tenant, sensor, ts) IN (SELECT tenant, sensor, ts FROM anomalies WHERE sensor LIKE 'p0-%' LIMIT 1)`,
    codes: ['ANOMALIES_DIFFER'],
    says: /the store has an anomaly of t1\/p\d-\d+ ts \d+ temperature_c \(zscore\) that telemetry\.anomalies does not have/,
  },
  {
    damage: 'progress is moved beyond the end of clean',
    sql: `UPDATE progress SET "offset" = 100000 WHERE topic = 'telemetry.clean' AND partition = 0`,
    codes: ['TOPIC_CUT'],
    says: /telemetry\.clean\/0 ends at offset \d+, and the store has read up to 100000/,
  },
  {
    damage: 'progress is moved back',
    sql: `UPDATE progress SET "offset" = 10 WHERE topic = 'telemetry.clean' AND partition = 0`,
    codes: ['STORE_EXCESS'],
    says: /t1\/p0-\d+ ts \d+ \(epoch 1 seq \d+\) is in the store/,
  },
  {
    damage: 'progress is moved forward past readings that are not stored',
    sql: `DELETE FROM readings WHERE sensor_id = :b AND seq >= 90; UPDATE lanes SET count = count - 10, max_seq = 89 WHERE sensor_id = :b`,
    codes: ['NOT_IN_STORE'],
    says: /epoch 1 seq 99\) is not in the store/,
  },
]

const insert = (sql: string, ids: Readonly<Record<string, number>>): string =>
  sql.replaceAll(/:(a|b|u|at)\b/g, (_, name: string) => String(ids[name]))

function idsOf({ sensors, startMs }: Planted): Record<string, number> {
  const [{ a, b, u }] = sensors
  const ids = planted.sensorIds()
  return { a: ids.get(a)!, b: ids.get(b)!, u: ids.get(u)!, at: startMs + 3_000 }
}

describe('faults 3: the store is compared in full', () => {
  it('the sound pipeline is said to be sound, in full', async () => {
    const report = await planted.audit(undefined, { deep: true })
    expect(report.problems).toEqual([])
    expect(report.notes).toEqual([])
    expect(report.balanced).toBe(true)
    const { raw, clean, duplicate, late, deadLettered, store } = report.table
    expect(raw).toBeGreaterThan(PARTITIONS * 200)
    expect({ clean, duplicate, late, deadLettered }).toEqual({
      clean: PARTITIONS * (99 + 100 + 10),
      duplicate: PARTITIONS,
      late: PARTITIONS * 2,
      deadLettered: PARTITIONS,
    })
    expect(store).toEqual({ expected: PARTITIONS * 210, refused: 0, rows: PARTITIONS * 210 })
  })

  it.each(DAMAGES)('$damage', async ({ sql, codes, says }) => {
    const file = planted.storeWith(insert(sql, idsOf(planted)))
    const shallow = await planted.audit(file)
    expect(shallow.balanced).toBe(false)
    const report = await planted.audit(file, { deep: true })
    const messages = report.problems.map(({ code, message }) => `${code}: ${message}`).join('\n')
    expect([...new Set(report.problems.map(({ code }) => code))].sort(), messages).toEqual(codes)
    expect(messages).toMatch(says)
    expect(messages, 'the sound partition is not accused').not.toMatch(/t1\/p1-\d/)
  })
})
