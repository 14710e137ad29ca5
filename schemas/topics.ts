// The topics of Plumbline, declared once: names, partitions, retention and the schema of their values.
// `ensureTopics` creates them from here, the registry subjects and the documentation are derived from here.

/** How many partitions a topic gets: `data` follows TOPIC_PARTITIONS, `one` is a single partition. */
export type Partitioning = 'data' | 'one'

export interface TopicSpec {
  readonly name: string
  readonly partitioning: Partitioning
  /** File in schemas/ that describes the value; null where the value is foreign bytes or JSON. */
  readonly schema: string | null
  readonly configs: Readonly<Record<string, string>>
}

/** A record larger than this is refused by the broker; importers and HTTP refuse it earlier, with a clear error. */
export const MAX_RECORD_BYTES = 1_048_576
/** Outputs carry what raw carried plus headers, and several records a batch: room for both. */
const OUTPUT_BATCH_BYTES = String(8 * MAX_RECORD_BYTES)

const BROKER_TIME = { 'message.timestamp.type': 'LogAppendTime' }
const COMPACTED = { 'cleanup.policy': 'compact' }
const logged = (days: number) => ({
  ...BROKER_TIME,
  'retention.ms': String(days * 86_400_000),
})

export const RAW = 'telemetry.raw'
export const CLEAN = 'telemetry.clean'
export const LATE = 'telemetry.late'
export const ANOMALIES = 'telemetry.anomalies'
export const EXTENTS = 'telemetry.extents'
export const DLQ = 'telemetry.dlq'
export const DLQ_MARKS = 'telemetry.dlq.marks'
export const SNAPSHOTS = 'refine.snapshots'
export const ORDER = 'telemetry.order'
export const NODES = 'nodes'
export const VIEWS = 'cluster.views'
export const CONFIG = 'config'
export const CONFIG_ACKS = 'config.acks'

/** The topics of one refine: where it reads and where it writes. Benchmarks run it on topics of their own. */
export interface RefineTopics {
  readonly raw: string
  readonly clean: string
  readonly late: string
  readonly anomalies: string
  readonly extents: string
  readonly dlq: string
  readonly snapshots: string
}

export const REFINE_TOPICS: RefineTopics = {
  raw: RAW,
  clean: CLEAN,
  late: LATE,
  anomalies: ANOMALIES,
  extents: EXTENTS,
  dlq: DLQ,
  snapshots: SNAPSHOTS,
}

export const TOPICS: readonly TopicSpec[] = [
  {
    name: RAW,
    partitioning: 'data',
    schema: 'reading',
    configs: { ...logged(7), 'max.message.bytes': String(MAX_RECORD_BYTES) },
  },
  {
    name: CLEAN,
    partitioning: 'data',
    schema: 'reading',
    configs: { ...logged(7), 'max.message.bytes': OUTPUT_BATCH_BYTES },
  },
  {
    name: LATE,
    partitioning: 'data',
    schema: 'reading',
    configs: { ...logged(7), 'max.message.bytes': OUTPUT_BATCH_BYTES },
  },
  {
    name: ANOMALIES,
    partitioning: 'data',
    schema: 'anomaly',
    configs: { ...logged(30), 'max.message.bytes': OUTPUT_BATCH_BYTES },
  },
  { name: EXTENTS, partitioning: 'data', schema: 'extent', configs: logged(7) },
  {
    name: DLQ,
    partitioning: 'data',
    schema: null,
    configs: { ...logged(30), 'max.message.bytes': OUTPUT_BATCH_BYTES },
  },
  // Outcomes of dead letters, by their place. Kept twice as long as these: a dead letter that outlived its mark
  // would look open.
  { name: DLQ_MARKS, partitioning: 'data', schema: null, configs: logged(60) },
  {
    name: SNAPSHOTS,
    partitioning: 'data',
    schema: 'snapshot',
    configs: { 'cleanup.policy': 'compact', 'max.message.bytes': OUTPUT_BATCH_BYTES, 'segment.bytes': '67108864' },
  },
  // Longer than clean: a reading's sequence stays known for some time after the reading itself is gone.
  { name: ORDER, partitioning: 'one', schema: 'order', configs: logged(30) },
  // The broker's time of a heartbeat is the one clock by which all members are judged. Only closed segments are
  // compacted: small ones keep what a reader has to go through at its start small.
  {
    name: NODES,
    partitioning: 'one',
    schema: 'heartbeat',
    configs: { ...COMPACTED, ...BROKER_TIME, 'segment.bytes': '4194304', 'segment.ms': '3600000' },
  },
  // A view names every member, and fleets may be large.
  {
    name: VIEWS,
    partitioning: 'one',
    schema: 'view',
    configs: { ...COMPACTED, ...BROKER_TIME, 'max.message.bytes': OUTPUT_BATCH_BYTES, 'segment.bytes': '16777216' },
  },
  { name: CONFIG, partitioning: 'one', schema: 'config', configs: COMPACTED },
  { name: CONFIG_ACKS, partitioning: 'one', schema: 'config-ack', configs: COMPACTED },
]

/** The topic's declaration. Throws on an undeclared name: that is a bug. */
export function topicSpec(name: string): TopicSpec {
  const spec = TOPICS.find((topic) => topic.name === name)
  if (spec === undefined) throw new Error(`topic ${name} is not declared in schemas/topics.ts`)
  return spec
}

/** Confluent's subject of a topic's values (TopicNameStrategy). */
export const subjectOf = (topic: string): string => `${topic}-value`
