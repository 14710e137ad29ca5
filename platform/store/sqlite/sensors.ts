// What the SQLite writer knows of sensors while the process runs: their numbers, how far each has come and where its
// last reading was taken, so that a reading in order needs no look-up. Dropped whole when it may be wrong.
import type { DatabaseSync } from 'node:sqlite'
import type { Reading } from '../../codec/reading.ts'
import type { Frontier, SqliteRollups } from './rollups.ts'

/** Sensors and sources remembered; beyond it all are forgotten and looked up again. */
const REMEMBERED = 200_000

/** What is known of a sensor while the process runs. */
export interface SensorState {
  readonly id: number
  readonly frontier: Frontier
  /** Greatest event time stored; -Infinity when there is none. */
  lastTs: number
  /** Where its last reading came from: most readings come from the same source as the one before. */
  site: string
  node: string
  tags: Record<string, string>
  sourceId: number
  /** Rows of the current batch: first and last index, chained by the writer; -1: none. */
  head: number
  tail: number
}

export class SqliteSensors {
  readonly #statements: ReturnType<typeof prepare>
  readonly #rollups: SqliteRollups
  readonly #tenants = new Map<string, Map<string, SensorState>>()
  #remembered = 0

  constructor(db: DatabaseSync, rollups: SqliteRollups) {
    this.#statements = prepare(db)
    this.#rollups = rollups
  }

  get areTooMany(): boolean {
    return this.#remembered > REMEMBERED
  }

  forget(): void {
    this.#tenants.clear()
    this.#remembered = 0
  }

  /** What is known of the reading's sensor, which is added where it is new. */
  of(reading: Reading): SensorState {
    let sensors = this.#tenants.get(reading.tenant_id)
    if (sensors === undefined) this.#tenants.set(reading.tenant_id, (sensors = new Map()))
    let sensor = sensors.get(reading.sensor_id)
    if (sensor === undefined) {
      sensor = this.#loadSensor(reading)
      sensors.set(reading.sensor_id, sensor)
      this.#remembered += 1
    }
    return sensor
  }

  #loadSensor({ tenant_id, sensor_id }: Reading): SensorState {
    const { findSensor, addSensor, lastTs } = this.#statements
    const found = findSensor.get(tenant_id, sensor_id)
    const id = found === undefined ? Number(addSensor.run(tenant_id, sensor_id).lastInsertRowid) : Number(found.id)
    const last = lastTs.get(id)!.ts
    const newest = last === null ? -Infinity : Number(last)
    return {
      id,
      frontier: this.#rollups.frontier(id, newest),
      lastTs: newest,
      site: '',
      node: '',
      tags: {},
      sourceId: -1,
      head: -1,
      tail: -1,
    }
  }

  /** Has the sensor stand where this reading of it was taken: finds or adds the source if it is another than before. */
  place(sensor: SensorState, reading: Reading): void {
    if (sensor.sourceId >= 0 && sameSource(sensor, reading)) return
    const { site_id, node_id, tags } = reading
    const { findSource, addSource, addName, findName, addSite, markSites } = this.#statements
    const newSite = sensor.sourceId < 0 || sensor.site !== site_id
    if (newSite && Number(addSite.run(site_id, sensor.id).changes) > 0) markSites.run(sensor.id, sensor.id)
    const json = JSON.stringify(tags, Object.keys(tags).sort())
    const found = findSource.get(site_id, node_id, json)
    if (found === undefined) {
      addName.run(site_id)
      const site = Number(findName.get(site_id)!.id)
      sensor.sourceId = Number(addSource.run(site_id, node_id, json, site).lastInsertRowid)
    } else sensor.sourceId = Number(found.id)
    sensor.site = site_id
    sensor.node = node_id
    sensor.tags = tags
  }
}

function sameSource(sensor: SensorState, { site_id, node_id, tags }: Reading): boolean {
  if (sensor.site !== site_id || sensor.node !== node_id) return false
  let names = 0
  for (const name in tags) {
    if (sensor.tags[name] !== tags[name]) return false
    names += 1
  }
  return names === Object.keys(sensor.tags).length
}

function prepare(db: DatabaseSync) {
  return {
    lastTs: db.prepare('SELECT max(ts) AS ts FROM readings WHERE sensor_id = ?'),
    findSensor: db.prepare('SELECT id FROM sensors WHERE tenant = ? AND name = ?'),
    addSensor: db.prepare('INSERT INTO sensors (tenant, name) VALUES (?, ?)'),
    findSource: db.prepare('SELECT id FROM sources WHERE site = ? AND node = ? AND tags = ?'),
    addSource: db.prepare('INSERT INTO sources (site, node, tags, site_id) VALUES (?, ?, ?, ?)'),
    addName: db.prepare('INSERT OR IGNORE INTO sites (name) VALUES (?)'),
    findName: db.prepare('SELECT id FROM sites WHERE name = ?'),
    addSite: db.prepare('INSERT OR IGNORE INTO sensor_sites VALUES (?, ?, 1)'),
    markSites: db.prepare(
      'UPDATE sensor_sites SET only_site = ((SELECT count(*) FROM sensor_sites WHERE sensor_id = ?) = 1) WHERE sensor_id = ?',
    ),
  }
}
