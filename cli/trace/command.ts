// `plumbline trace`: where one reading went, from the write-ahead log to the row.
import { Command, Option } from 'commander'
import { InputError } from '../../platform/errors.ts'
import { cachedSchemas } from '../../platform/codec/register.ts'
import { parsePlace } from '../../platform/dead-letters/letter.ts'
import { OrderReader } from '../../platform/order/order-reader.ts'
import { ORDER } from '../../schemas/topics.ts'
import { whole } from '../arguments.ts'
import { escapeControls } from '../core/decode.ts'
import { type Connected, withKafka } from '../with-kafka.ts'
import { traceJson, traceText, type Trace } from './core/report.ts'
import { parseNumber, parseTs, targetOf } from './core/target.ts'
import { LogSearch } from './log-search.ts'
import { tenantsOf } from './row.ts'
import { Tracer } from './trace.ts'

const EXAMPLES = `
Examples:
  plumbline trace sensor-0001 2026-01-31T12:00:00Z        by sensor and event time (ISO 8601 or ms since 1970)
  plumbline trace sensor-0001 --seq 1769860800000:42      by epoch and seq
  plumbline trace --global 1000                           by the place in the total order
  plumbline trace --dead-letter 3@14                      by the place of a dead letter
  plumbline trace sensor-0001 1769860800000 --json | jq .fate`

const DEFAULT_TENANT = 'default'

interface TraceOptions {
  readonly tenant?: string
  readonly seq?: string
  readonly global?: number
  readonly deadLetter?: string
  readonly scan?: boolean
  readonly json?: boolean
}

export function traceCommand(env: Readonly<Record<string, string>>): Command {
  return new Command('trace')
    .description(
      'where one reading went: log, topics, order, row, dead letters, with the times between; exit code 1 if it is nowhere',
    )
    .argument('[sensor]', 'the sensor’s id')
    .argument('[ts]', 'its event time: ISO 8601 with a zone, or ms since 1970')
    .option('--tenant <id>', 'the tenant of the sensor, where several have one of this name')
    .option('--seq <epoch:seq>', 'the number of the reading instead of its time')
    .addOption(new Option('--global <sequence>', 'its global sequence').argParser(whole(0, Number.MAX_SAFE_INTEGER)))
    .option('--dead-letter <place>', 'the place of a dead letter: <partition>@<offset>')
    .option('--scan', 'read all of telemetry.raw instead of searching; may take long')
    .option('--json', 'one JSON object')
    .addHelpText('after', EXAMPLES)
    .action((sensor: string | undefined, ts: string | undefined, options: TraceOptions) =>
      withKafka(env, async (connected) => {
        const trace = await traced(connected, sensor, ts, options)
        process.stdout.write(`${escapeControls(options.json === true ? traceJson(trace) : traceText(trace))}\n`)
        if (trace.fate === 'not found') process.exitCode = 1
      }),
    )
}

async function traced(
  { config, kafka, admin }: Connected,
  sensor: string | undefined,
  ts: string | undefined,
  options: TraceOptions,
): Promise<Trace> {
  const { global, deadLetter, seq, scan = false } = options
  const ways = [global !== undefined, deadLetter !== undefined, sensor !== undefined].filter(Boolean).length
  if (ways !== 1 || (sensor !== undefined && (ts === undefined) === (seq === undefined)))
    throw new InputError(
      'OPTIONS',
      'sensor',
      'give a sensor with an event time or with --seq, or --global, or --dead-letter',
    )
  const fetchSchema = cachedSchemas(config.REGISTRY_URL, config.API_TOKEN)
  const reader = await kafka.rangeReader()
  const hasOrder = (await admin.listTopics()).includes(ORDER)
  const order = hasOrder ? await OrderReader.open({ kafka, fetchSchema }) : null
  try {
    const search = new LogSearch(reader, fetchSchema)
    const tracer = await Tracer.open({ config, admin, search, order, fetchSchema, scan })
    if (global !== undefined) return await tracer.global(global)
    if (deadLetter !== undefined) return await tracer.deadLetter(parsePlace(deadLetter.replace(':', '@')))
    const number = seq === undefined ? null : parseNumber(seq)
    const tenant = options.tenant ?? (await tenantOf(config, sensor!))
    return await tracer.reading(targetOf(tenant, sensor!, ts === undefined ? null : parseTs(ts), number))
  } finally {
    await Promise.allSettled([reader.close(), order?.close()])
  }
}

async function tenantOf(config: Connected['config'], sensor: string): Promise<string> {
  const tenants = await tenantsOf(config, sensor)
  if (tenants.length > 1)
    throw new InputError(
      'OPTIONS',
      'tenant',
      `several tenants have a sensor ${sensor}, ${tenants.join(' and ')} among them: give --tenant`,
    )
  return tenants[0] ?? DEFAULT_TENANT
}
