// `plumbline partitions`: each partition of raw with committed offset, end, lag and state. It looks twice, some seconds
// apart, since a partition that is stuck shows only by not moving, and asks the running stream jobs for their reasons.
import { Command } from 'commander'
import { type Instance, readInstance } from '../../deploy/stack/instance.ts'
import { count } from '../../deploy/stack/core/panel.ts'
import { loadConfig } from '../../platform/config.ts'
import type { Admin } from '../../platform/kafka/port.ts'
import { pause } from '../../platform/retry.ts'
import { RAW } from '../../schemas/topics.ts'
import { escapeControls } from '../core/decode.ts'
import { renderTable } from '../core/table.ts'
import { withKafka } from '../with-kafka.ts'
import { adviceFor, type PartitionFacts, rowOf } from './core/report.ts'

/** Several transactions of refine. */
const LOOK_MS = 3_000
const ASK_MS = 2_000

export function partitionsCommand(env: Readonly<Record<string, string>>): Command {
  return new Command('partitions')
    .description('partitions of telemetry.raw with lag and state; exit code 1 when one is stuck or has lost records')
    .option('--json', 'print JSON')
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
  const rows = (await look(admin, group)).map((later, i) => rowOf(before[i] ?? later, later))
  const bad = rows.some(({ state }) => state === 'stuck' || state === 'lost')
  if (bad) process.exitCode = 1
  if (asJson) return void process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
  const table = renderTable(
    ['partition', 'start', 'committed', 'end', 'lag', 'state'],
    rows.map(({ partition, start, committed, end, lag, state }) => [
      String(partition),
      ...[start, committed, end, lag].map((offset) => (offset === null ? '–' : count(offset))),
      state,
    ]),
    ['right', 'right', 'right', 'right', 'right', 'left'],
  )
  const instance = readInstance(env.DATA_DIR)
  const reasons = bad && instance !== null ? await reasonsOf(instance, loadConfig(env).API_TOKEN) : []
  process.stdout.write(escapeControls(`${[table, ...adviceFor(rows, reasons)].join('\n')}\n`))
}

async function look(admin: Admin, group: string): Promise<PartitionFacts[]> {
  const [committed, ranges] = await Promise.all([admin.committedOffsets(group, RAW), admin.offsetRanges(RAW)])
  return ranges.map(({ start, end }, partition) => ({
    partition,
    start,
    committed: committed[partition]?.offset ?? null,
    end,
  }))
}

/** What /readyz of each stream-jobs process finds wrong. */
async function reasonsOf({ services }: Instance, token: string | undefined): Promise<string[]> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const asked = services
    .filter(({ service }) => service === 'stream-jobs')
    .map(async ({ url, name }) => {
      const response = await fetch(`${url}/readyz`, { headers, signal: AbortSignal.timeout(ASK_MS) })
      const { checks = {} } = (await response.json()) as { checks?: Record<string, { ready: boolean; detail: string }> }
      return Object.entries(checks).flatMap(([check, { ready, detail }]) =>
        ready ? [] : [`${name}, ${check}: ${detail}`],
      )
    })
  const answers = await Promise.all(asked.map((answer) => answer.catch(() => ['one of them does not answer'])))
  return answers.flat()
}
