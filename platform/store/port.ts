// What Plumbline needs of a store. The sink writes by it, the query API and the audit read by it; SQLite implements
// it now, a time-series server can implement it as well: everything is async, batch-wise and free of one store's words.
//
// Row identity is (tenant, sensor, ts). The readings of one identity are merged cell by cell (merge.ts has the rule):
// every reading carries a `version`, 0 for one from telemetry.clean and 1 + offset for one from telemetry.late, and of
// each metric the value of the greatest version that says something wins. So what came late or corrected always beats
// what clean said, several corrections count in the order of their offsets in late, and the order in which a sink
// happens to write does not matter. (One sensor has one partition, so its offsets compare.) A null erases nothing; the
// names in `erase` do. Of two readings of the same version the one that is written later counts as the later.
import type { Fingerprint } from '../codec/fingerprint.ts'
import type { Reading } from '../codec/reading.ts'

/** Rows in columns: the decoded readings as they are, and what the log says of each beside them. */
export interface ReadingRows {
  readonly readings: readonly Reading[]
  /** By index of `readings`; see the rule above. */
  readonly versions: Float64Array
  /** Arrival time in the topic, ms, by index of `readings`. */
  readonly arrivals: Float64Array
}

/** One row of telemetry.anomalies; identity (tenant, sensor, ts, metric, detector), the last write wins. */
export interface Anomaly {
  readonly tenant_id: string
  readonly site_id: string
  readonly node_id: string
  readonly sensor_id: string
  readonly epoch: number
  readonly seq: number
  readonly ts: number
  readonly metric: string
  readonly value: number
  readonly detector: string
  readonly score: number
  readonly threshold: number
  readonly mean: number
  readonly stddev: number
  readonly window_count: number
}

/** How far the store is with one partition of a topic. The store is the truth; the group's offset is a display. */
export interface Progress {
  readonly topic: string
  readonly partition: number
  /** Next offset to read: everything below it is stored. */
  readonly offset: number
  /** Everything that had arrived in the pipeline by this time (ms) is stored, as far as this partition goes; null: not known yet. */
  readonly throughMs: number | null
  /** Greatest event time stored from this partition, ms; null: nothing yet. */
  readonly eventMs: number | null
}

/** A step of progress. */
export interface ProgressUpdate extends Progress {
  /**
   * Where the store must be before it, null where it knows nothing of the partition; otherwise somebody else has
   * taken the partition over and the whole batch is refused with STORE_MOVED. So a sink that was frozen and wakes up
   * cannot wind the store back.
   */
  readonly after: number | null
}

export interface WriteBatch {
  readonly rows: ReadingRows
  readonly anomalies: readonly Anomaly[]
  /** Replaces what is known of these partitions; a null time leaves the stored one. Times never go back. */
  readonly progress: readonly ProgressUpdate[]
}

export interface SensorRef {
  readonly tenant: string
  readonly sensor: string
}

export interface SensorSummary extends SensorRef {
  /** Site and node of its latest reading. */
  readonly site: string
  readonly node: string
  readonly count: number
  readonly lastTs: number
}

/**
 * A stored row as it is read back. Epoch and seq are those of its first reading, site, node, tags, arrival and version
 * those of its latest; the metrics by name, absent ones left out.
 */
export interface StoredReading extends SensorRef {
  readonly site: string
  readonly node: string
  readonly ts: number
  readonly epoch: number
  readonly seq: number
  readonly version: number
  readonly arrivalMs: number
  readonly tags: Readonly<Record<string, string>>
  readonly metrics: Readonly<Record<string, number>>
  /** Readings of this identity said different things of one metric: a value was changed or erased, not only added. */
  readonly corrected: boolean
}

/**
 * Readings present and readings expected, by seq: per (sensor, epoch) from the first to the last seq of its rows. A
 * reading that completed or corrected the row of another is present. Expected 0: the sources number nothing.
 */
export interface SeqCount {
  readonly present: number
  readonly expected: number
}

export interface MetricAggregate {
  /** Readings that have the metric; at least 1. */
  readonly count: number
  readonly min: number
  readonly max: number
  readonly avg: number
  readonly sum: number
  /**
   * Of a cumulative metric: what it grew by, summed over the sensors, as Prometheus counts. Every reading that has the
   * metric adds its step from the sensor's reading before it, wherever and whenever that was: value − value before, or,
   * where the value fell (the meter was reset or replaced), the value itself, since a meter starts from 0. A sensor's
   * first reading adds nothing. A step belongs to the window and the site of the reading that ends it, so windows and
   * sites add up: a long window is exactly the sum of the short ones in it.
   */
  readonly increase?: number
  /** Of a cumulative metric: how often the value fell, that is steps that were counted from 0. */
  readonly resets?: number
}

export interface AggregateWindow {
  /** First ms of the window, a multiple of the window's length (the first window may begin before `from`). */
  readonly start: number
  readonly count: number
  /** Only metrics that occur. */
  readonly metrics: Readonly<Record<string, MetricAggregate>>
}

export interface AggregateQuery {
  readonly site: string
  /** null: all tenants. */
  readonly tenant: string | null
  readonly windowMs: number
  /** Event time, ms: [from, to). */
  readonly from: number
  readonly to: number
  /** null: those of the latest readings of the site's sensors. */
  readonly metrics: readonly string[] | null
}

export interface Aggregate {
  /** Sensors that ever stood at the site; 0: the site is not known. */
  readonly sensors: number
  /** In order of time; windows without a reading are left out. */
  readonly windows: readonly AggregateWindow[]
  /** Over all of [from, to). */
  readonly seqs: SeqCount
}

export interface AnomalyFilter {
  readonly tenant?: string
  readonly sensor?: string
  readonly site?: string
  /** Event time, ms: [from, to). */
  readonly from?: number
  readonly to?: number
}

/** The rows of one (sensor, epoch), counted row by row: the audit compares this with the log. */
export interface Coverage extends SensorRef {
  readonly epoch: number
  /** Rows, that is distinct event times. */
  readonly count: number
  readonly minSeq: number
  readonly maxSeq: number
}

export interface SensorCount extends SensorRef {
  /** Rows, that is distinct event times; without a range also those that were deleted by their age. */
  readonly count: number
  /** Readings that completed or corrected the row of another of the same event time: they have no row of their own. */
  readonly superseded: number
}

/** The rows of one sensor, comparable with what the log says; see codec/fingerprint.ts. */
export interface SensorFingerprint extends SensorRef {
  readonly fingerprint: Fingerprint
}

/**
 * How long each level is kept: ms of event time before now, null for ever. Minutes are kept at least as long as rows
 * and hours at least as long as minutes, since each is corrected from what is finer.
 */
export interface Retention {
  readonly rows: number | null
  readonly '1s': number | null
  readonly '1m': number | null
  readonly '1h': number | null
}

export interface SensorQuery {
  readonly sensor?: string
  readonly site?: string
  readonly tenant?: string
  readonly after?: SensorRef
  readonly limit: number
}

/** Reads of one consistent state. */
export interface StoreView {
  progress(): Promise<Progress[]>
  /** Up to `limit` tenants that have a sensor of this name. */
  tenantsOf(sensor: string, limit: number): Promise<string[]>
  /** Up to `limit` tenants that have a sensor which ever stood at a site of this name. */
  tenantsAt(site: string, limit: number): Promise<string[]>
  /** In order of (tenant, sensor), after `after`. */
  sensors(query: SensorQuery): Promise<SensorSummary[]>
  /** Numbering of the listed sensors over all that is stored, from counters kept while writing. */
  seqCount(sensors: readonly SensorRef[]): Promise<SeqCount>
  /** Numbering of one sensor's rows with event time in [from, to). */
  seqCountWithin(sensor: SensorRef, from: number, to: number): Promise<SeqCount>
  /** Latest readings by event time, newest first; null: no such sensor. */
  recent(at: SensorRef, limit: number): Promise<StoredReading[] | null>
  /**
   * Rejects with StoreError STORE_EXPIRED where the range, or the windows in it, need what is not kept any more:
   * readings are deleted by their age, and their aggregates have boundaries of a second, a minute, an hour.
   */
  aggregate(query: AggregateQuery): Promise<Aggregate>
  /** Newest first. */
  anomalies(filter: AnomalyFilter, limit: number): Promise<Anomaly[]>
  /** Totals for displays, from counters kept while writing. */
  totals(): Promise<{ sensors: number; readings: number; superseded: number; anomalies: number }>
  /** Distinct readings per sensor, counted row by row; with a range only those of this epoch and seq in [from, to]. */
  countsPerSensor(range?: { epoch: number; fromSeq: number; toSeq: number }): Promise<SensorCount[]>
  /** Counted row by row, by (tenant, sensor, epoch). */
  coverage(): Promise<Coverage[]>
  /**
   * What every sensor's rows amount to, in order of (tenant, sensor) and in bounded memory. Every row is read; a sensor
   * without such rows may be left out.
   * @param from only rows of this event time and later; rows before `rowsSince` may have been deleted by their age
   */
  fingerprints(from?: number): AsyncIterable<SensorFingerprint>
  /** All rows of one sensor in order of event time, in pages of bounded size. @param from as above */
  rows(at: SensorRef, from?: number): AsyncIterable<readonly StoredReading[]>
  /** Event time from which on every row is kept, ms; null: from the beginning. */
  rowsSince(): Promise<number | null>
}

export interface Store {
  /** Brings the store to this program's state: numbered migrations once and in order, then a column per metric. */
  migrate(): Promise<void>
  /**
   * Writes rows and progress. SQLite: all or nothing, in one transaction.
   * Rejects with StoreOutageError (the same batch may go in later), StorePoisonError (it never will), both of
   * store-errors.ts, STORE_MOVED (see ProgressUpdate) or STORE_FAILED. After a time-out the batch may be stored or not;
   * written again it changes nothing.
   * @param signal when it fires, the write sends nothing more and settles soon
   */
  write(batch: WriteBatch, signal?: AbortSignal): Promise<void>
  /**
   * One bounded step of upkeep: aggregates that no write brings on, and deletion of what is not kept any more. A
   * sensor's newest readings stay, however old. Absent where the store does this by itself.
   * @param nowMs what ages are counted from
   * @returns true: there is more to do now
   */
  maintain?(nowMs: number, keep: Retention): Promise<boolean>
  /** Runs reads on one consistent state (where the store can give one; else progress must be read first). */
  read<T>(work: (view: StoreView) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** No rows: for batches that only move progress. */
export const NO_ROWS: ReadingRows = { readings: [], versions: new Float64Array(0), arrivals: new Float64Array(0) }
