// `plumbline up`: the whole pipeline on this machine, from one command.
import { Command, Option } from 'commander'
import { whole } from '../arguments.ts'
import { PushDemo } from '../config/push-demo.ts'
import { parseDuration } from '../../platform/duration.ts'
import { runSession } from '../../deploy/stack/session.ts'
import {
  commanderOptions,
  DEFAULT_NODES,
  FAULT_OPTIONS,
  FLEET_OPTIONS,
  fleetArguments,
  fleetOf,
} from '../../producers/nodes/options.ts'
import type { Stack } from '../../deploy/stack/stack.ts'
import { watchStack } from '../../deploy/stack/watch.ts'

/** More are useless on one machine: each stream job should have a partition to itself. */
const PROCESSES_MAX = 64
const FLEET = { ...FLEET_OPTIONS, nodes: { ...FLEET_OPTIONS.nodes, default: DEFAULT_NODES } }
const HINT = 'Ctrl-C stops everything'

interface UpOptions {
  readonly fleet: boolean
  readonly nodes?: number
  readonly streamJobs: number
  readonly replicas: number
  readonly for?: string
  readonly pushConfig?: string
}

const EXAMPLES = `
Examples:
  plumbline up                                the default fleet: 20 nodes, 200 sensors, 10 readings/s each
  plumbline up --nodes 5 --sensors 50         a small fleet
  plumbline up --fault-outage 5s              after ten seconds no send reaches the broker for five
  plumbline up --no-fleet                     no simulated nodes: feed it by "produce", "import" or HTTP
  plumbline up --stream-jobs 2 --for 5m       two processes share the work of refine; stop after five minutes
  plumbline up --replicas 2                   and two replicas of the total order, as CSV in DATA_DIR/replicas
  plumbline up --push-config 15s              a demonstration: detector.z is changed back and forth while everything runs
  QUERY_API_PORT=9080 plumbline up            settings go by the environment; docs/reference.md lists them

Data are kept in DATA_DIR (.plumbline by default): the next "up" continues with them, "make clean" removes them.`

export function upCommand(env: Readonly<Record<string, string>>): Command {
  const up = new Command('up')
    .description('start Kafka, registry, Redis, producers, stream jobs, sinks and query API here; Ctrl-C stops them')
    .addOption(
      new Option('--stream-jobs <n>', 'processes that share the work of refine')
        .default(1)
        .argParser(whole(1, PROCESSES_MAX)),
    )
    .option('--push-config <duration>', 'for demonstration, change the configuration at this interval: 15s')
    .addOption(
      new Option('--replicas <n>', 'CSV replicas of the total order, in DATA_DIR/replicas')
        .default(0)
        .argParser(whole(0, PROCESSES_MAX)),
    )
    .option('--for <duration>', 'stop cleanly after this time: 60s, 5m, 1h')
    .addHelpText('after', EXAMPLES)
    .action((options: UpOptions) => run(env, options))
  up.optionsGroup('Simulated fleet:').option('--no-fleet', 'start no simulated nodes')
  for (const option of commanderOptions(FLEET)) up.addOption(option)
  up.optionsGroup('Faults that the fleet injects:')
  for (const option of commanderOptions(FAULT_OPTIONS)) up.addOption(option)
  return up
}

async function run(env: Readonly<Record<string, string>>, options: UpOptions): Promise<void> {
  const { streamJobs, replicas } = options
  const limitMs = options.for === undefined ? null : parseDuration(options.for, '--for')
  const pushMs = options.pushConfig === undefined ? null : parseDuration(options.pushConfig, '--push-config')
  const fleet = fleetArguments({
    ...fleetOf({ ...options }),
    nodes: options.fleet ? (options.nodes ?? DEFAULT_NODES) : 0,
  })
  const stack = { env, dataDir: env.DATA_DIR, streamJobs, replicas, fleet }
  await runSession(stack, async ({ stack: running, signal }) => {
    const end = limitMs === null ? signal : AbortSignal.any([signal, AbortSignal.timeout(limitMs)])
    process.stdout.write('\n')
    if (pushMs === null) await watchStack(running, HINT, end)
    else await watchPushes(running, { ...env, ...running.plan.addresses }, pushMs, end)
    process.stdout.write('\n')
  })
}

async function watchPushes(
  stack: Stack,
  env: Readonly<Record<string, string>>,
  everyMs: number,
  signal: AbortSignal,
): Promise<void> {
  const pushes = new PushDemo()
  const notes = (): [string, string][] => [['config', pushes.text]]
  await Promise.all([watchStack(stack, HINT, signal, notes), pushes.run(env, everyMs, signal)])
}
