// `plumbline partitions`: each partition of raw with its owner, committed offset, end, lag and state. It looks twice, some
// seconds apart, since a partition that is stuck may show only by not moving, and asks the running stream jobs for their
// reasons. What helps is below it: `skip` and `accept-loss`.
import { Argument, Command } from 'commander'
import { type Instance, readInstance } from '../../deploy/stack/instance.ts'
import { count } from '../../deploy/stack/core/panel.ts'
import { loadConfig } from '../../platform/config.ts'
import type { Admin, CommittedOffset } from '../../platform/kafka/port.ts'
import { pause } from '../../platform/retry.ts'
import { readCommitMetadata } from '../../schemas/refine.ts'
import { RAW } from '../../schemas/topics.ts'
import { whole } from '../arguments.ts'
import { escapeControls } from '../core/decode.ts'
import { renderTable } from '../core/table.ts'
import { withKafka } from '../with-kafka.ts'
import { acceptLossOf, LOSS_TOPICS, type RepairOptions, skip, SKIP_TOPICS } from './repair.ts'
import { adviceFor, type Owned, type PartitionFacts, rowOf } from './core/report.ts'

/** Several transactions of refine. */
const LOOK_MS = 3_000
const ASK_MS = 2_000

const SKIP_HELP = `
The record keeps its bytes and headers as a dead letter SKIPPED ("plumbline dlq"); of a batch that cannot be read all offsets are
named. Only the next record of the partition can be skipped, and only once: repeated, the command changes nothing. Of the
extents a record is passed over only if the order cannot read it; no reading loses its place.

Examples:
  plumbline partitions skip telemetry.raw 3 14204
  plumbline partitions skip telemetry.extents 0 77 --yes`

const LOSS_HELP = `
For a partition of which retention or DeleteRecords has taken records that were still to be read. Of telemetry.raw, and of what
the store reads, the lost offsets are named by a dead letter REMOVED_UNREAD. Of the extents nothing is lost as long as
telemetry.clean has the readings: they get their places in the order from there.

Examples:
  plumbline partitions accept-loss telemetry.raw 3
  plumbline partitions accept-loss telemetry.clean 0 --yes    then start the sinks again`

export function partitionsCommand(env: Readonly<Record<string, string>>): Command {
  const skipping = new Command('skip')
    .description('move the one record at which a partition is stuck into the dead letters')
    .addArgument(
      new Argument('<topic>', 'telemetry.raw (refine is stuck) or telemetry.extents (the order is)').choices(
        SKIP_TOPICS,
      ),
    )
    .addArgument(new Argument('<partition>').argParser(whole(0, 100_000)))
    .addArgument(
      new Argument('<offset>', 'where it is stuck, as "plumbline partitions" shows it').argParser(
        whole(0, Number.MAX_SAFE_INTEGER),
      ),
    )
    .option('--yes', 'do not ask')
    .addHelpText('after', SKIP_HELP)
    .action((topic: (typeof SKIP_TOPICS)[number], partition: number, offset: number, options: RepairOptions) =>
      withKafka(env, (at) => skip(at, topic, partition, offset, options)),
    )
  const accepting = new Command('accept-loss')
    .description('continue after records that were removed before they were read')
    .addArgument(new Argument('<topic>').choices(LOSS_TOPICS))
    .addArgument(new Argument('<partition>').argParser(whole(0, 100_000)))
    .option('--yes', 'do not ask')
    .addHelpText('after', LOSS_HELP)
    .action((topic: (typeof LOSS_TOPICS)[number], partition: number, options: RepairOptions) =>
      withKafka(env, (at) => acceptLossOf(at, topic, partition, options)),
    )
  return new Command('partitions')
    .description('partitions of telemetry.raw with lag and state; exit code 1 when one is stuck or has lost records')
    .option('--json', 'print JSON')
    .addCommand(skipping)
    .addCommand(accepting)
    .addHelpText(
      'after',
      '\nExamples:\n  plumbline partitions\n  plumbline partitions --json | jq \'.[] | select(.state == "stuck")\'',
    )
    .action(({ json }: { json?: true }) =>
      withKafka(env, ({ config, admin }) => show(admin, config.REFINE_GROUP, env, json === true)),
    )
}

async function show(
  admin: Admin,
  group: string,
  env: Readonly<Record<string, string>>,
  asJson: boolean,
): Promise<void> {
  const before = await look(admin, group)
  await pause(LOOK_MS)
  const instance = readInstance(env.DATA_DIR)
  const { owned, reasons } = await ask(instance, loadConfig(env).API_TOKEN)
  const rows = (await look(admin, group)).map((later, i) => rowOf(before[i] ?? later, later, owned.get(i)))
  const bad = rows.some(({ state }) => state === 'stuck' || state === 'lost')
  if (bad) process.exitCode = 1
  if (asJson) return void process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
  const table = renderTable(
    ['partition', 'owner', 'start', 'position', 'end', 'lag', 'state', 'since'],
    rows.map(({ partition, owner, start, committed, end, lag, state, stuck }) => [
      String(partition),
      owner ?? '–',
      ...[start, committed, end, lag].map((offset) => (offset === null ? '–' : count(offset))),
      state,
      stuck?.since ?? '–',
    ]),
    ['right', 'left', 'right', 'right', 'right', 'right', 'left', 'left'],
  )
  process.stdout.write(escapeControls(`${[table, ...adviceFor(RAW, rows, reasons)].join('\n')}\n`))
}

async function look(admin: Admin, group: string): Promise<PartitionFacts[]> {
  const [committed, ranges] = await Promise.all([admin.committedOffsets(group, RAW), admin.offsetRanges(RAW)])
  return ranges.map(({ start, end }, partition) => {
    const at = committed[partition] ?? null
    return { partition, start, committed: at?.offset ?? null, needed: at === null ? null : neededBy(at), end }
  })
}

/** Where the next owner begins to read: at its last snapshot. */
function neededBy({ offset, metadata }: CommittedOffset): number {
  try {
    return readCommitMetadata(metadata).snapshot.input
  } catch {
    return offset // somebody else's; refine itself says so
  }
}

/** What each stream-jobs process says of its partitions, and what /readyz finds wrong with it. */
async function ask(
  instance: Instance | null,
  token: string | undefined,
): Promise<{ readonly owned: ReadonlyMap<number, Owned>; readonly reasons: readonly string[] }> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const owned = new Map<number, Owned>()
  const reasons: string[] = []
  const get = async (url: string): Promise<unknown> =>
    (await fetch(url, { headers, signal: AbortSignal.timeout(ASK_MS) })).json()
  const asked = (instance?.services ?? [])
    .filter(({ service }) => service === 'stream-jobs')
    .map(async ({ url, name }) => {
      try {
        const { partitions } = (await get(`${url}/partitions`)) as { partitions: readonly Owned[] }
        for (const one of partitions) owned.set(one.partition, one)
        const { checks } = (await get(`${url}/readyz`)) as {
          checks: Record<string, { ready: boolean; detail: string }>
        }
        for (const [check, { ready, detail }] of Object.entries(checks))
          if (!ready) reasons.push(`${name}, ${check}: ${detail}`)
      } catch {
        reasons.push(`${name} does not answer at ${url}`)
      }
    })
  await Promise.all(asked)
  return { owned, reasons }
}
