// `plumbline topics`: what is in Kafka, readable. `list` shows every topic with its records and retention; `tail`
// decodes Avro by the registry, which Debian's kcat cannot.
import { Command, Option } from 'commander'
import { InputError } from '../../platform/errors.ts'
import type { Admin } from '../../platform/kafka/port.ts'
import { TOPICS } from '../../schemas/topics.ts'
import { whole } from '../arguments.ts'
import { count } from '../../deploy/stack/core/panel.ts'
import { renderTable } from '../core/table.ts'
import { applyText, stateOf } from './core/apply.ts'
import { tailTopic } from './tail.ts'
import { type Connected, withKafka } from '../with-kafka.ts'

type Env = Readonly<Record<string, string>>

const LIST_EXAMPLES = `
Examples:
  plumbline topics list
  plumbline topics list --json | jq '.[] | select(.records > 0)'`

const TAIL_EXAMPLES = `
Examples:
  plumbline topics tail telemetry.clean              the last 10 records of every partition together
  plumbline topics tail telemetry.clean -n 1 --json  one JSON object a line
  plumbline topics tail telemetry.anomalies --follow until Ctrl-C
  plumbline topics tail telemetry.dlq                dead letters, with the reason in their headers`

const APPLY_EXAMPLES = `
Examples:
  plumbline topics apply --dry-run     what a cluster needs: for the people who run it
  plumbline topics apply               create what is missing; partitions of existing topics are never changed`

const RECORDS_MAX = 10_000

export function topicsCommand(env: Env): Command {
  const list = new Command('list')
    .description('topics with partitions, records and retention')
    .option('--json', 'print JSON')
    .addHelpText('after', LIST_EXAMPLES)
    .action((options: { json?: boolean }) => withKafka(env, ({ admin }) => listTopics(admin, options.json ?? false)))
  const tail = new Command('tail')
    .description('the last records of a topic, decoded, with key and headers')
    .argument('<topic>', 'name of the topic, for instance telemetry.clean')
    .addOption(new Option('-n, --records <n>', 'how many records').default(10).argParser(whole(1, RECORDS_MAX)))
    .addOption(new Option('-p, --partition <n>', 'this partition only').argParser(whole(0, 100_000)))
    .option('-f, --follow', 'continue with what arrives, until Ctrl-C')
    .option('--json', 'print one JSON object a line')
    .addHelpText('after', TAIL_EXAMPLES)
    .action((topic: string, options: TailOptions) => withKafka(env, (at) => tailChecked(at, topic, options)))
  const apply = new Command('apply')
    .description('create missing topics and set their declared settings')
    .option('--dry-run', 'print topics, settings and the rights (ACLs) of each process instead')
    .addHelpText('after', APPLY_EXAMPLES)
    .action((options: { dryRun?: true }) => withKafka(env, (at) => applyTopics(at, options.dryRun ?? false)))
  return new Command('topics')
    .description('list topics, show decoded records of one, or set them up')
    .addCommand(list)
    .addCommand(tail)
    .addCommand(apply)
}

async function applyTopics({ config, admin }: Connected, isDryRun: boolean): Promise<void> {
  const names = await admin.listTopics()
  const wanted = await Promise.all(
    TOPICS.map(async (spec) => ({
      spec,
      partitions: spec.partitioning === 'one' ? 1 : config.TOPIC_PARTITIONS,
      existing: names.includes(spec.name) ? await admin.partitionCount(spec.name) : null,
    })),
  )
  if (isDryRun) return void process.stdout.write(applyText(wanted))
  await admin.ensureTopics(wanted.map(({ spec: { name, configs }, partitions }) => ({ name, partitions, configs })))
  const made = wanted.filter((one) => stateOf(one) === 'missing').length
  process.stdout.write(`${made} topics created, settings of ${wanted.length} topics applied\n`)
}

interface TailOptions {
  readonly records: number
  readonly partition?: number
  readonly follow?: boolean
  readonly json?: boolean
}

async function listTopics(admin: Admin, asJson: boolean): Promise<void> {
  const names = (await admin.listTopics()).filter((name) => !name.startsWith('__')).sort()
  const rows = await Promise.all(
    names.map(async (name) => {
      const ranges = await admin.offsetRanges(name)
      const configs = TOPICS.find((topic) => topic.name === name)?.configs
      return {
        topic: name,
        partitions: ranges.length,
        records: ranges.reduce((all, { start, end }) => all + end - start, 0),
        retention: retentionOf(configs),
      }
    }),
  )
  if (asJson) return void process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
  const table = renderTable(
    ['topic', 'partitions', 'records', 'kept'],
    rows.map(({ topic, partitions, records, retention }) => [
      topic,
      String(partitions),
      count(records),
      retention ?? '–',
    ]),
    ['left', 'right', 'right', 'left'],
  )
  process.stdout.write(
    `${table}\n\nRecords are counted by offsets: transaction markers and compacted records are included.\n`,
  )
}

/** What schemas/topics.ts declares; null for a topic that is not ours. */
function retentionOf(configs: Readonly<Record<string, string>> | undefined): string | null {
  if (configs === undefined) return null
  if (configs['cleanup.policy'] === 'compact') return 'latest per key'
  return `${Number(configs['retention.ms']) / 86_400_000} days`
}

async function tailChecked({ config, kafka, admin }: Connected, topic: string, options: TailOptions): Promise<void> {
  const names = await admin.listTopics()
  if (!names.includes(topic)) {
    const known = names
      .filter((name) => !name.startsWith('__'))
      .sort()
      .join(', ')
    throw new InputError('UNKNOWN_TOPIC', 'topic', `there is no topic "${topic}"; there are: ${known || 'none yet'}`)
  }
  const partitions = await admin.partitionCount(topic)
  if (options.partition !== undefined && options.partition >= partitions)
    throw new InputError(
      'UNKNOWN_PARTITION',
      'partition',
      `${topic} has partitions 0 to ${partitions - 1}, not ${options.partition}`,
    )
  await tailTopic({
    config,
    kafka,
    admin,
    topic,
    ...options,
    follow: options.follow ?? false,
    json: options.json ?? false,
  })
}
