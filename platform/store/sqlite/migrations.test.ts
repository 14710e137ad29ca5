// Migrations of the SQLite store: once, in order, from every earlier state, by several processes at once.
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { METRICS, type Metric } from '../../../schemas/metrics.ts'
import { isMigrated, metricColumn, migrate, MIGRATIONS } from './migrations.ts'

const NOW = 1_700_000_000_000
const schemaOf = (db: DatabaseSync): unknown[] =>
  db
    .prepare('SELECT type, name, sql FROM sqlite_master ORDER BY type, name')
    .all()
    .map(({ type, name, sql }) => [type, name, type === 'table' ? columnsOf(db, String(name)) : sql])
/** In any order: metrics of an earlier version come before what a later migration adds. */
const columnsOf = (db: DatabaseSync, table: string): unknown[] =>
  db.prepare(`SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info('${table}') ORDER BY name`).all()
const applied = (db: DatabaseSync): unknown[] =>
  db.prepare('SELECT number, applied_ms FROM migrations ORDER BY number').all()
const metric = (name: string): Metric => ({ name, unit: '1', min: 0, max: 1, kind: 'gauge', doc: '' })
const fresh = (): DatabaseSync => {
  const db = new DatabaseSync(':memory:')
  migrate(db, METRICS, NOW)
  return db
}

describe('TA-11: migrations', () => {
  it('lead to the same tables from every earlier version, and each is recorded once, in order', () => {
    const expected = schemaOf(fresh())
    for (let have = 0; have <= MIGRATIONS.length; have += 1) {
      const db = new DatabaseSync(':memory:')
      if (have > 0) migrate(db, METRICS, NOW - 1, MIGRATIONS.slice(0, have))
      expect(isMigrated(db, METRICS)).toBe(have === MIGRATIONS.length)
      migrate(db, METRICS, NOW)
      migrate(db, METRICS, NOW + 1)
      expect(isMigrated(db, METRICS)).toBe(true)
      expect(schemaOf(db)).toEqual(expected)
      expect(applied(db)).toEqual(
        MIGRATIONS.map(({ number }) => ({ number, applied_ms: number <= have ? NOW - 1 : NOW })),
      )
    }
  })

  it('are numbered without gaps', () => {
    expect(MIGRATIONS.map(({ number }) => number)).toEqual(MIGRATIONS.map((_, i) => i + 1))
  })

  it('fill the counters from rows that an earlier version wrote', () => {
    const db = new DatabaseSync(':memory:')
    migrate(db, METRICS, NOW, MIGRATIONS.slice(0, 2))
    const insert = db.prepare(
      'INSERT INTO readings (sensor_id, ts, version, epoch, seq, source_id, arrival) VALUES (?, ?, 0, ?, ?, 1, 0)',
    )
    for (const [sensor, ts, epoch, seq] of [[1, 10, 5, 0], [1, 20, 5, 2], [1, 30, 6, 0], [2, 10, 0, 0]]) insert.run(sensor, ts, epoch, seq) // prettier-ignore
    migrate(db, METRICS, NOW)
    expect(db.prepare('SELECT * FROM lanes').all()).toEqual([
      { sensor_id: 1, epoch: 5, count: 2, min_seq: 0, max_seq: 2 },
      { sensor_id: 1, epoch: 6, count: 1, min_seq: 0, max_seq: 0 },
      { sensor_id: 2, epoch: 0, count: 1, min_seq: 0, max_seq: 0 },
    ])
  })

  it('leave nothing behind when one fails, and continue from there', () => {
    const db = new DatabaseSync(':memory:')
    const broken = MIGRATIONS.with(1, {
      number: 2,
      name: 'broken',
      sql: 'CREATE TABLE half (x); INSERT INTO nowhere VALUES (1);',
    })
    expect(() => migrate(db, METRICS, NOW, broken)).toThrow('nowhere')
    expect(applied(db).length).toBe(1)
    expect(schemaOf(db)).not.toContainEqual(expect.objectContaining({ name: 'half' }))
    migrate(db, METRICS, NOW)
    expect(isMigrated(db, METRICS)).toBe(true)
  })

  it('are refused to a program that is older than the store', () => {
    const db = fresh()
    expect(() => migrate(db, METRICS, NOW, MIGRATIONS.slice(0, 2))).toThrow(/migration 5.*knows 2/)
  })

  it('add a column for every metric of the schema that has none, and keep those that are gone', () => {
    const db = fresh()
    expect(isMigrated(db, [...METRICS, metric('torque_nm')])).toBe(false)
    migrate(db, [metric('torque_nm')], NOW)
    const columns = db
      .prepare("SELECT name FROM pragma_table_info('readings')")
      .all()
      .map((row) => row.name)
    expect(columns).toEqual(expect.arrayContaining([...METRICS.map(({ name }) => name), 'torque_nm']))
  })

  it('refuse a metric whose name cannot be a column', () => {
    for (const name of ['seq', 'arrival', 'a b', 'x"; DROP TABLE readings; --'])
      expect(() => metricColumn(name)).toThrow(/another field name/)
  })
})
