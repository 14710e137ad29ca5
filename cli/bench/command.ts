// `plumbline bench`: what the parts cost, measured on this machine. Figures are for comparing within one run.
import { Command, InvalidArgumentError } from 'commander'
import { findMax } from '../../bench/load-burst/find-max.ts'
import { runLoadBurst } from '../../bench/load-burst/run.ts'
import type { Sample } from '../../bench/load-burst/samples.ts'
import { benchOrder, type OrderReport } from '../../bench/order.ts'
import { benchPipeline, type PipelineReport } from '../../bench/pipeline.ts'
import { benchRefine, type RefineReport } from '../../bench/refine.ts'
import { benchStages, type StagesReport } from '../../bench/stages.ts'
import { withBenchStack } from '../../bench/stack.ts'
import { loadConfig } from '../../platform/config.ts'

/** Of each trial of --find-max, after its warm-up. */
const FIND_SECONDS = 30

interface RefineFlags {
  records: number
  sensors: number
  partitions: number
  seed: number
  outOfOrder: number
  duplicates: number
  inputTopic?: string
  json?: true
}

/** The command `bench`. */
export function benchCommand(): Command {
  const bench = new Command('bench').description('measure what the parts cost on this machine')
  bench
    .command('refine')
    .description('fill a fresh raw topic (or take an existing one) and run refine over the backlog')
    .option('--records <n>', 'readings to fill in', whole(1, 1e9), 2_000_000)
    .option('--sensors <n>', 'sensors that they come from', whole(1, 1e6), 1_000)
    .option('--partitions <n>', 'partitions of the fresh topic', whole(1, 256), 6)
    .option('--seed <n>', 'the same seed gives the same readings', whole(0, 2 ** 31 - 1), 1)
    .option('--out-of-order <share>', 'share of readings that come late', share, 0.02)
    .option('--duplicates <share>', 'share of readings that come twice', share, 0.007)
    .option('--input-topic <topic>', 'an existing topic of readings on KAFKA_BROKERS, with its schemas in REGISTRY_URL')
    .option('--json', 'print the report as JSON')
    .addHelpText(
      'after',
      '\nWithout KAFKA_BROKERS in the environment a broker and a registry are started for the run and removed afterwards.',
    )
    .action(runRefineBench)
  bench
    .command('stages')
    .description('what each stage costs by itself, and how refine’s cost grows with the number of sensors')
    .option('--records <n>', 'readings per stage', whole(1_000, 1e7), 300_000)
    .option('--json', 'print the report as JSON')
    .action(runStagesBench)
  bench
    .command('order')
    .description('what the total order costs refine at a steady rate, for readings as they are and larger ones')
    .option('--rate <n>', 'readings per second', whole(1_000, 1e6), 20_000)
    .option('--rounds <n>', 'pairs of windows, without and with a sequencer', whole(1, 100), 4)
    .option('--seconds <n>', 'length of a window', whole(2, 600), 8)
    .option('--json', 'print the report as JSON')
    .action(runOrderBench)
  bench
    .command('pipeline')
    .description(
      'the whole pipeline under a steady load: is it sustained, how old is a stored reading, where does the CPU go',
    )
    .option('--rate <n>', 'readings per second', whole(10, 1e6), 40_000)
    .option('--seconds <n>', 'length of the measurement, after 20 s of warming up', whole(5, 3_600), 60)
    .option('--json', 'print the report as JSON')
    .action(runPipelineBench)
  bench
    .command('burst')
    .description('bursts of ten times the rate and brownouts of the store; a report with plots and the audit')
    .option('--rate <n>', 'readings per second between the bursts', whole(10, 1e6), 2_000)
    .option('--seconds <n>', 'length; the last brownout ends at 135 s, the last burst at 180 s', whole(30, 3_600), 180)
    .option('--seed <n>', 'the same seed gives the same readings and outages', whole(0, 2 ** 31 - 1), 1)
    .option('--stream-jobs <n>', 'processes that share the work of refine', whole(1, 64), 1)
    .option('--replicas <n>', 'CSV replicas of the total order, compared at the end', whole(0, 16), 0)
    .option('--out <folder>', 'where the report goes', 'bench-report')
    .option('--find-max', 'search for the highest steady rate that is sustained, instead')
    .action(runBurstBench)
  return bench
}

const progress = (text: string): void => void process.stderr.write(`${text}\n`)

async function runRefineBench(flags: RefineFlags): Promise<void> {
  const config = loadConfig(process.env)
  const existing = process.env.KAFKA_BROKERS !== undefined || flags.inputTopic !== undefined
  const report = await withBenchStack(config, existing, progress, (environment) =>
    benchRefine(environment, { ...flags, inputTopic: flags.inputTopic }),
  )
  process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : describe(report))
}

function describe(report: RefineReport): string {
  const {
    records,
    seconds,
    records_per_s,
    cpu_s_per_million,
    cpu_s_per_million_warm,
    peak_rss_mb,
    records_per_transaction,
    outcomes,
  } = report
  const rows: [string, string][] = [
    ['records', `${records.toLocaleString('en')} in ${seconds} s`],
    ['records/s', records_per_s.toLocaleString('en')],
    ['CPU s per million', `${cpu_s_per_million} (${cpu_s_per_million_warm} without the start of the process)`],
    ['peak memory', `${peak_rss_mb} MB`],
    ['records/transaction', records_per_transaction.toLocaleString('en')],
    [
      'outcomes',
      Object.entries(outcomes)
        .map(([name, count]) => `${name} ${count.toLocaleString('en')}`)
        .join(', '),
    ],
  ]
  return `${rows.map(([name, value]) => `${name.padEnd(20)} ${value}`).join('\n')}\n`
}

async function runStagesBench(flags: { records: number; json?: true }): Promise<void> {
  const report = await benchStages(flags.records, progress)
  process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : describeStages(report))
}

function describeStages({ stages, by_sensors }: StagesReport): string {
  const costs = stages.map(
    ({ stage, unit, cpu_us, per_s }) =>
      `${stage.padEnd(44)} ${cpu_us.toFixed(3).padStart(9)} µs per ${unit.padEnd(7)} ${per_s.toLocaleString('en').padStart(12)}/s`,
  )
  const growth = by_sensors.map(
    ({ sensors, core_cpu_us, snapshot_bytes }) =>
      `${`core with ${sensors.toLocaleString('en')} sensors`.padEnd(44)} ${core_cpu_us.toFixed(3).padStart(9)} µs per record; a snapshot is ${(snapshot_bytes / 1_048_576).toFixed(1)} MB`,
  )
  return `${[...costs, ...growth].join('\n')}\n`
}

async function runOrderBench(flags: { rate: number; rounds: number; seconds: number; json?: true }): Promise<void> {
  const existing = process.env.KAFKA_BROKERS !== undefined
  const report = await withBenchStack(loadConfig(process.env), existing, progress, (environment) =>
    benchOrder(environment, flags),
  )
  process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : describeOrder(report))
}

function describeOrder({ costs }: OrderReport): string {
  const blocks = costs.map((cost) => {
    const rows: [string, string][] = [
      ['bytes per reading', cost.reading_bytes.toLocaleString('en')],
      [
        'refined',
        `${cost.refined_per_s.toLocaleString('en')}/s without, ${cost.refined_per_s_with_sequencer.toLocaleString('en')}/s with a sequencer in the process: ratio ${cost.throughput_ratio}`,
      ],
      [
        'CPU per reading',
        `${cost.cpu_us_per_reading} µs without, ${cost.cpu_us_per_reading_with_sequencer} µs with a sequencer`,
      ],
      [
        'sequencer by itself',
        `${cost.cpu_us_per_transaction} µs of CPU per transaction (${cost.transactions_per_s}/s), ${cost.cpu_us_per_extent} µs per extent (${cost.extents_per_s}/s)`,
      ],
      ['share of a core', `${cost.share_of_core_pct} %`],
    ]
    return rows.map(([name, value]) => `${name.padEnd(20)} ${value}\n`).join('')
  })
  return blocks.join('\n')
}

async function runPipelineBench(flags: { rate: number; seconds: number; json?: true }): Promise<void> {
  const report = await benchPipeline(flags.rate, flags.seconds, progress)
  process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : describePipeline(report))
}

function describePipeline(report: PipelineReport): string {
  const parts = (values: Readonly<Record<string, number>>): string =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')
  const rows: [string, string][] = [
    ['offered', `${report.offered_per_s.toLocaleString('en')} readings/s`],
    [
      'accepted, stored',
      `${report.accepted_per_s.toLocaleString('en')}/s, ${report.stored_per_s.toLocaleString('en')}/s`,
    ],
    [
      'sustained',
      `${report.sustained ? 'yes' : 'no'}: ${report.waiting_first.toLocaleString('en')} records waited at first, ${report.waiting_last.toLocaleString('en')} at last`,
    ],
    ['sample to store', `p50 ${report.latency_p50_ms} ms, p99 ${report.latency_p99_ms} ms`],
    ['CPU µs per reading', parts(report.cpu_us)],
    ['cores used', String(report.cores_used)],
    ['peak memory, MB', parts(report.peak_rss_mb)],
  ]
  return `${rows.map(([name, value]) => `${name.padEnd(20)} ${value}`).join('\n')}\n`
}

interface BurstFlags {
  rate: number
  seconds: number
  seed: number
  streamJobs: number
  replicas: number
  out: string
  findMax?: true
}

async function runBurstBench(flags: BurstFlags): Promise<void> {
  if (flags.findMax === true) {
    const best = await findMax(flags.rate, FIND_SECONDS, progress)
    process.stdout.write(
      best === null ? 'not even the first rate was sustained: begin with a lower --rate\n' : describePipeline(best),
    )
    process.exitCode = best === null ? 1 : 0
    return
  }
  const report = await runLoadBurst(flags, showSample)
  if (report === null) return
  // The plots' library is large, and every other command would load it as well.
  const { summaryRows, writeReport } = await import('../../bench/load-burst/report.ts')
  const rows = summaryRows(report).map(([name, value]) => `${name.padEnd(20)} ${value}`)
  const files = writeReport(report, flags.out)
  process.stdout.write(`\n${rows.join('\n')}\n\n${files.join('\n')}\n`)
  const { audit, order } = report
  if (!audit.balanced || order.fault !== null || order.difference !== null) process.exitCode = 1
}

function showSample({ atS, acceptedPerS, storedPerS, waiting, latency, breaker, rssMb }: Sample): void {
  const number = (value: number): string => Math.round(value).toLocaleString('en')
  process.stderr.write(
    `${atS.toFixed(0).padStart(4)} s  accepted ${number(acceptedPerS)}/s  stored ${number(storedPerS)}/s  waiting ${number(waiting.producers)}+${number(waiting.refine)}+${number(waiting.sinks)}  p99 ${latency.p99?.toFixed(1) ?? '–'} s  breaker ${['closed', 'half-open', 'open'][breaker]}  sinks ${rssMb.sinks} MB\n`,
  )
}

const whole =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text)
    if (!Number.isInteger(value) || value < min || value > max)
      throw new InvalidArgumentError(`it must be a whole number from ${min} to ${max}`)
    return value
  }

function share(text: string): number {
  const value = Number(text)
  if (!(value >= 0 && value <= 0.5)) throw new InvalidArgumentError('it must be from 0 to 0.5')
  return value
}
