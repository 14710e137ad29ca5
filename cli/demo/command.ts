// `plumbline demo`: the pipeline for a minute on a simulated fleet and one real series, then the results: the audit,
// answers of the query API, and where to look next. Its exit code is the audit's.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { supervise, type Supervised } from '../../deploy/local/supervise.ts'
import { messageOf } from '../../platform/errors.ts'
import { connectKafka } from '../../platform/kafka/kafkajs/client.ts'
import { createLog } from '../../platform/log.ts'
import { audit } from '../../audit/audit.ts'
import { untilSettled } from '../../audit/settle.ts'
import { reportText } from '../../audit/core/report.ts'
import { parseDuration } from '../../platform/duration.ts'
import { NODE, ROOT } from '../../deploy/paths.ts'
import { LogFile } from '../../deploy/stack/log-file.ts'
import { runSession, type Session } from '../../deploy/stack/session.ts'
import type { Stack } from '../../deploy/stack/stack.ts'
import { watchStack } from '../../deploy/stack/watch.ts'
import { DEFAULT_NODES, fleetArguments, fleetWith } from '../../producers/nodes/options.ts'
import { CommandError } from '../core/errors.ts'

type Env = Readonly<Record<string, string>>

const FLEET = fleetWith({ nodes: DEFAULT_NODES })
/** A day and a half of the series where it is at hand, else the first hours of it, which are kept in the project. */
const SERIES = ['../shared/data/household_power_1min.txt', 'producers/doors/import/sample/household_power.txt']
/** The longer one is then done in about 40 s. */
const ROWS_PER_S = 50
const SETTLE_MS = 90_000
const STOP_MS = 10_000
const ANSWER_LINES = 40

const EXAMPLES = `
Examples:
  plumbline demo                  a minute
  plumbline demo --for 10s        shorter
  DATA_DIR=/tmp/demo plumbline demo   on data of its own`

export function demoCommand(env: Env): Command {
  return new Command('demo')
    .description('run the pipeline for a minute on a fleet and a real series, then audit it and ask it questions')
    .option('--for <duration>', 'how long: 30s, 2m', '60s')
    .addHelpText('after', EXAMPLES)
    .action(async (options: { for: string }) => {
      const lengthMs = parseDuration(options.for, '--for')
      const stack = { env, dataDir: env.DATA_DIR, streamJobs: 1, fleet: fleetArguments(FLEET) }
      const balanced = await runSession(stack, (session) => demo(session, lengthMs))
      if (balanced !== null) process.stdout.write(whereNext(env.DATA_DIR))
      process.exitCode = balanced === true ? 0 : 1
    })
}

/** @returns whether the audit is balanced */
async function demo({ stack, steps, signal }: Session, lengthMs: number): Promise<boolean> {
  const file = SERIES.map((path) => join(ROOT, path)).find((path) => existsSync(path))
  if (file === undefined) throw new CommandError('NO_SERIES', `the demo’s series is missing: ${SERIES.join(', ')}`)
  const series = await replay(stack, file)
  const out = process.stdout
  out.write(`\n${rowsOf(file)} readings of a real household are replayed beside a simulated fleet.\n\n`)
  try {
    await watchStack(stack, 'Ctrl-C ends it early', AbortSignal.any([signal, AbortSignal.timeout(lengthMs)]))
    out.write('\n')
    if (!signal.aborted) await steps.run('the replay is through', () => finished(series))
  } finally {
    await series.process.stop(STOP_MS)
    await series.log.close()
  }
  await stack.stopProducers(steps)
  const { config } = stack.plan
  const kafka = connectKafka(config, createLog('demo', 'error'))
  await steps.run('what is on its way has arrived', async () => {
    const moving = await untilSettled(config, kafka, SETTLE_MS)
    if (moving !== null)
      throw new CommandError('NOT_SETTLED', `still in flight after ${SETTLE_MS / 1_000} s: ${moving}`)
  })
  let report
  await steps.run('audit', async (progress) => {
    let read = 0
    report = await audit(config, kafka, {
      onRecords: (count) => progress(`${(read += count).toLocaleString('en-US')} records read`),
    })
  })
  const { balanced } = report!
  out.write(`\n${reportText(report!)}`)
  await showAnswers(stack)
  return balanced
}

interface Replay {
  readonly process: Supervised
  readonly log: LogFile
}

async function replay({ plan }: Stack, file: string): Promise<Replay> {
  const args = ['producers/main.ts', 'import', file, '--preset', 'household-power', '--rate', String(ROWS_PER_S)]
  const [{ env }] = plan.services.producers
  const process = await supervise({ command: NODE, args, cwd: ROOT, env })
  const log = new LogFile(join(plan.config.DATA_DIR, 'logs', 'import.log'))
  log.attach(process.stdout, process.stderr)
  return { process, log }
}

async function finished({ process, log }: Replay): Promise<string> {
  const code = await process.exited
  const said = log.lastLines(1)
  if (code !== 0)
    throw new CommandError(
      'REPLAY',
      `the replay ended with exit code ${code}; the end of ${log.path}:\n${log.lastLines(6)}`,
    )
  return `(${said})`
}

function rowsOf(file: string): string {
  return (readFileSync(file, 'utf8').trimEnd().split('\n').length - 1).toLocaleString('en-US')
}

async function showAnswers({ plan }: Stack): Promise<void> {
  const [{ url, token }] = plan.services['query-api']
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const paths = [
    '/sensors/household-1/recent?limit=1',
    '/sites/sceaux/agg?window=1h&metric=power_w&from=2006-12-16T19:00:00Z&to=2006-12-16T20:00:00Z',
    '/anomalies?limit=1',
  ]
  for (const path of paths) {
    process.stdout.write(
      `\n$ curl${token === undefined ? '' : ' -H "Authorization: Bearer $API_TOKEN"'} '${url}${path}'\n`,
    )
    try {
      const response = await fetch(`${url}${path}`, { headers })
      const lines = JSON.stringify(await response.json(), null, 2).split('\n')
      process.stdout.write(
        `${[...lines.slice(0, ANSWER_LINES), ...(lines.length > ANSWER_LINES ? ['  …'] : [])].join('\n')}\n`,
      )
    } catch (error) {
      process.stdout.write(`(no answer: ${messageOf(error)})\n`)
    }
  }
}

const whereNext = (dataDir: string): string => `
Next:
  bin/plumbline up                               the same without an end; meanwhile, in another terminal:
  bin/plumbline topics tail telemetry.clean      what the log holds, decoded
  bin/plumbline topics tail telemetry.anomalies  readings that stood out, and by how much
  bin/plumbline audit                            the account above, at any time
  README.md, docs/                               examples, every setting, what is guaranteed

Data and logs are in ${dataDir}; "bin/plumbline clean" removes them.
`
