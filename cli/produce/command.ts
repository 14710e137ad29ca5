// `plumbline produce`: readings from flags or from standard input to POST /readings of the running producers, which
// check each of them and keep it before they answer.
import { Command, InvalidArgumentError } from 'commander'
import { loadConfig } from '../../platform/config.ts'
import { parseDecimal } from '../../platform/decimal.ts'
import { InputError, messageOf } from '../../platform/errors.ts'
import { producersUrl } from '../addresses.ts'
import { escapeControls } from '../core/decode.ts'
import { METRICS } from '../../schemas/metrics.ts'
import { CommandError } from '../core/errors.ts'

const REQUEST_TIMEOUT_MS = 30_000
/** Well below the largest body that the producers take by default. */
const CHUNK_BYTES = 1_048_576
const NEWLINE = 0x0a

const EXAMPLES = `
Examples:
  plumbline produce --sensor s1 --metric power_w=12.5
  plumbline produce --sensor s1 --site berlin --metric voltage_v=230.1 --metric current_a=0.4 --tag floor=2
  echo '{"sensor_id":"s1","ts":1767225600000,"power_w":12.5}' | plumbline produce -
  plumbline produce - < readings.jsonl

Metrics: ${METRICS.map(({ name }) => name).join(', ')}.`

interface ProduceOptions {
  readonly sensor?: string
  readonly site?: string
  readonly tenant?: string
  readonly ts?: string
  readonly metric: Readonly<Record<string, number>>
  readonly tag: Readonly<Record<string, string>>
}

interface Answer {
  readonly accepted?: number
  readonly rejected_count?: number
  readonly rejected?: readonly { readonly line: number; readonly message: string }[]
  readonly detail?: string
  /** First line that was not taken; null when all were read. */
  readonly next_line?: number | null
}

export function produceCommand(env: Readonly<Record<string, string>>): Command {
  return new Command('produce')
    .description('send one reading, or JSON lines from standard input, to the running producers')
    .argument('[input]', '"-": JSON lines from standard input')
    .option('--sensor <id>', 'the sensor')
    .option('--metric <name=value>', 'a metric; several times', pair(parseDecimal), {})
    .option('--tag <name=value>', 'a tag; several times', pair(String), {})
    .option('--site <id>', 'the site (default: "default")')
    .option('--tenant <id>', 'the tenant (default: "default")')
    .option('--ts <time>', 'event time: ISO 8601 or ms since 1970 (default: now)')
    .addHelpText('after', EXAMPLES)
    .action((input: string | undefined, options: ProduceOptions) => produce(env, input, options))
}

async function produce(
  env: Readonly<Record<string, string>>,
  input: string | undefined,
  options: ProduceOptions,
): Promise<void> {
  if (input !== undefined && input !== '-')
    throw new InputError('INPUT', 'input', `"${input}" is not "-": a file is brought in by "plumbline import ${input}"`)
  const config = loadConfig(env)
  const url = `${producersUrl(config).replace(/\/+$/, '')}/readings`
  const totals = { accepted: 0, rejected: 0, lines: 0 }
  const bodies = input === '-' ? chunksOf(process.stdin) : [`${JSON.stringify(readingOf(options))}\n`]
  for await (const body of bodies) {
    const answer = await post(url, body, config.API_TOKEN)
    for (const { line, message } of answer.rejected ?? [])
      process.stderr.write(escapeControls(`line ${totals.lines + line}: ${message}\n`))
    totals.accepted += answer.accepted ?? 0
    totals.rejected += answer.rejected_count ?? 0
    if (answer.next_line != null)
      throw new CommandError(
        'REFUSED',
        `stopped at line ${totals.lines + answer.next_line}, after ${totals.accepted} accepted and ${totals.rejected} rejected: ${answer.detail ?? 'no reason given'}`,
      )
    totals.lines += linesIn(body)
  }
  process.stdout.write(`${totals.accepted} accepted, ${totals.rejected} rejected\n`)
  if (totals.rejected > 0 || totals.accepted === 0)
    throw new CommandError(
      'REJECTED',
      totals.rejected > 0 ? 'some readings were rejected, see above' : 'there was no reading to send',
    )
}

function readingOf({ sensor, site, tenant, ts, metric, tag }: ProduceOptions): object {
  if (sensor === undefined)
    throw new InputError('MISSING', 'sensor', 'give --sensor and --metric, or "-" for JSON lines from standard input')
  if (Object.keys(metric).length === 0)
    throw new InputError('MISSING', 'metric', 'give at least one --metric name=value')
  return { sensor_id: sensor, site_id: site, tenant_id: tenant, ts: timeOf(ts), ...metric, tags: tag }
}

function timeOf(text: string | undefined): number {
  if (text === undefined) return Date.now()
  const ms = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isSafeInteger(ms)) return ms
  throw new InputError('TIME', 'ts', `--ts is "${text}": expected ISO 8601 or ms since 1970`)
}

function linesIn(body: string | Buffer): number {
  const bytes = Buffer.from(body)
  let lines = 0
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines += 1
  return lines
}

/**
 * Whole lines, some at a time, so that an input of any length is sent with little memory. As bytes: the producers refuse
 * what is not UTF-8 by its line, which decoding here would hide.
 */
async function* chunksOf(input: NodeJS.ReadStream): AsyncGenerator<Buffer> {
  let pending: Buffer = Buffer.alloc(0)
  for await (const part of input as AsyncIterable<Buffer>) {
    pending = Buffer.concat([pending, part])
    if (pending.length < CHUNK_BYTES) continue
    const end = pending.lastIndexOf(NEWLINE) + 1
    if (end === 0)
      throw new InputError('LINE_TOO_LONG', 'input', `a line has more than ${CHUNK_BYTES} bytes, which is the limit`)
    yield pending.subarray(0, end)
    pending = pending.subarray(end)
  }
  if (pending.length > 0) yield Buffer.concat([pending, Buffer.from('\n')])
}

async function post(url: string, body: string | Buffer, token: string | undefined): Promise<Answer> {
  const headers: Record<string, string> = { 'content-type': 'application/x-ndjson' }
  if (token !== undefined) headers.authorization = `Bearer ${token}`
  let response: Response
  try {
    response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) })
  } catch (error) {
    const why = messageOf((error as Error).cause ?? error)
    throw new CommandError(
      'UNREACHABLE',
      `no producers answer at ${url} (${why}): start them by "plumbline up", or set PRODUCERS_URL`,
    )
  }
  const answer = (await response.json().catch(() => ({}))) as Answer
  if (response.ok || answer.rejected_count !== undefined) return answer
  throw new CommandError('REFUSED', `${url} answers ${response.status}: ${answer.detail ?? 'no reason given'}`)
}

/** @param read null for what is no value */
function pair<T>(
  read: (text: string) => T | null,
): (text: string, former: Readonly<Record<string, T>>) => Record<string, T> {
  return (text, former) => {
    const at = text.indexOf('=')
    const value = read(text.slice(at + 1))
    const name = text.slice(0, at)
    if (at < 1 || text.length === at + 1 || value === null) throw new InvalidArgumentError('expected name=value')
    if (Object.hasOwn(former, name)) throw new InvalidArgumentError(`${name} is given twice`)
    return { ...former, [name]: value }
  }
}
