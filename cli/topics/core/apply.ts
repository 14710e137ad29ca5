// What a cluster needs for Plumbline, as text: its topics with partitions and settings, which of them are missing or
// differ, and the rights of each process. `plumbline topics apply --dry-run` prints it for the people who run the cluster.
import type { TopicSpec } from '../../../schemas/topics.ts'

export interface Wanted {
  readonly spec: TopicSpec
  readonly partitions: number
  /** Null: the topic does not exist. */
  readonly existing: number | null
}

export type TopicState = 'missing' | 'exists' | 'differs'

/** Partitions are never changed afterwards: that would move keys, and a sensor's order with them. */
export const stateOf = ({ partitions, existing }: Wanted): TopicState =>
  existing === null ? 'missing' : existing === partitions ? 'exists' : 'differs'

interface Rights {
  readonly process: string
  readonly read: readonly string[]
  readonly write: readonly string[]
  readonly groups: readonly string[]
  /** Ids or, with a star at the end, prefixes. */
  readonly transactionalIds: readonly string[]
}

/** Minimum rights by process; docs/operations.md has the same table. */
export const RIGHTS: readonly Rights[] = [
  {
    process: 'producers',
    read: ['config'],
    write: ['telemetry.raw', 'nodes', 'config.acks'],
    groups: [],
    transactionalIds: [],
  },
  {
    process: 'stream-jobs',
    read: [
      'telemetry.raw',
      'telemetry.clean',
      'telemetry.extents',
      'telemetry.order',
      'refine.snapshots',
      'config',
      'config.acks',
      'cluster.views',
      'nodes',
    ],
    write: [
      ...['telemetry.raw', 'telemetry.clean', 'telemetry.late', 'telemetry.anomalies', 'telemetry.extents'],
      ...['telemetry.dlq', 'telemetry.order', 'refine.snapshots', 'cluster.views', 'config.acks', 'nodes'],
    ],
    groups: ['refine', 'sequencer'],
    transactionalIds: ['refine-*', 'sequencer'],
  },
  {
    process: 'sinks',
    read: ['telemetry.clean', 'telemetry.late', 'telemetry.anomalies', 'telemetry.dlq', 'telemetry.raw'],
    write: ['telemetry.dlq', 'nodes'],
    groups: ['sink', 'refine'],
    transactionalIds: [],
  },
  {
    process: 'query-api',
    read: ['config', 'config.acks', 'nodes', 'cluster.views'],
    write: ['config', 'nodes'],
    groups: [],
    transactionalIds: ['config-writer'],
  },
  {
    process: 'replica',
    read: ['telemetry.order', 'telemetry.clean', 'telemetry.late'],
    write: ['nodes'],
    groups: [],
    transactionalIds: [],
  },
]

/** Lines for kafka-acls.sh, one resource each. @param principal of a process, e.g. User:plumbline-sinks */
export function aclCommands(principal: (process: string) => string): string[] {
  return RIGHTS.flatMap(({ process, read, write, groups, transactionalIds }) => {
    const allow = `kafka-acls.sh --add --allow-principal ${principal(process)}`
    return [
      ...read.map((topic) => `${allow} --operation Read --operation Describe --topic ${topic}`),
      ...write.map((topic) => `${allow} --operation Write --operation Describe --topic ${topic}`),
      ...groups.map((group) => `${allow} --operation Read --operation Describe --group ${group}`),
      ...transactionalIds.map((id) => {
        const pattern = id.endsWith('*') ? ' --resource-pattern-type prefixed' : ''
        return `${allow} --operation Write --operation Describe --transactional-id ${id.replace(/\*$/, '')}${pattern}`
      }),
    ]
  })
}

export function applyText(wanted: readonly Wanted[]): string {
  const width = Math.max(...wanted.map(({ spec }) => spec.name.length))
  const topics = wanted.map((one) => {
    const { spec, partitions, existing } = one
    const settings = Object.entries(spec.configs).map(([name, value]) => `${name}=${value}`)
    const note = stateOf(one) === 'differs' ? ` (it has ${existing}; they are not changed)` : ''
    return `${stateOf(one).padEnd(7)}  ${spec.name.padEnd(width)}  partitions=${partitions}${note} ${settings.join(' ')}`
  })
  const rights = aclCommands((process) => `User:plumbline-${process}`)
  return [
    'Topics:',
    ...topics,
    '',
    'Rights, with a principal of each process’s own. Writing to telemetry.raw is administrative: settings travel in it.',
    ...rights,
    '',
  ].join('\n')
}
