// `plumbline order`: prints the total order, and verifies it.
import { Command, Option } from 'commander'
import { InputError } from '../../platform/errors.ts'
import { OrderReader } from '../../platform/order/order-reader.ts'
import { cachedSchemas, type FetchSchema } from '../../platform/codec/register.ts'
import { ORDER } from '../../schemas/topics.ts'
import { whole } from '../arguments.ts'
import { parseSince } from './core/since.ts'
import { printOrder } from './print.ts'
import { verifyOrder } from './verify.ts'
import { type Connected, withKafka } from '../with-kafka.ts'

type Env = Readonly<Record<string, string>>

const EXAMPLES = `
Examples:
  plumbline order                                    the last 20 readings with their global sequence
  plumbline order --from 1000 --limit 20             the sequences 1000 to 1019
  plumbline order --since 5m --limit 100             from what was put in order five minutes ago
  plumbline order --follow --format jsonl | jq .seq  what arrives, until Ctrl-C
  plumbline order verify                             is the sequence gapless over everything kept?`

const VERIFY_EXAMPLES = `
Examples:
  plumbline order verify          reads the order: sequences and extents; exit code 1 names the first gap
  plumbline order verify --deep   also reads every reading that has a place, and counts them`

const LIMIT = 20
const SEQUENCE_MAX = Number.MAX_SAFE_INTEGER

interface OrderOptions {
  readonly from?: number
  readonly since?: string
  readonly limit?: number
  readonly follow?: boolean
  readonly format: 'table' | 'jsonl'
}

export function orderCommand(env: Env): Command {
  const verify = new Command('verify')
    .description('check that the sequence is gapless over everything kept; exit code 1 if it is not')
    .option('--deep', 'also read the readings that have a place, and count them')
    .addHelpText('after', VERIFY_EXAMPLES)
    .action((options: { deep?: boolean }) =>
      withOrder(env, (reader) => verifyOrder(reader, options.deep ?? false, stopSignal())),
    )
  return new Command('order')
    .description('readings in their total order, with their global sequence')
    .addOption(new Option('--from <sequence>', 'begin with this sequence').argParser(whole(0, SEQUENCE_MAX)))
    .addOption(
      new Option('--since <when>', 'begin with what was put in order then: 5m (ago) or ISO 8601').conflicts('from'),
    )
    .addOption(
      new Option('--limit <n>', `at most this many readings (default: ${LIMIT}; with --follow: no limit)`).argParser(
        whole(1, SEQUENCE_MAX),
      ),
    )
    .option('-f, --follow', 'continue with what arrives, until Ctrl-C')
    .addOption(new Option('--format <format>', 'how to print').choices(['table', 'jsonl']).default('table'))
    .addHelpText('after', EXAMPLES)
    .addCommand(verify)
    .action((options: OrderOptions) => withOrder(env, (reader, fetchSchema) => show(reader, fetchSchema, options)))
}

async function show(reader: OrderReader, fetchSchema: FetchSchema, options: OrderOptions): Promise<void> {
  const { follow = false, format } = options
  const limit = options.limit ?? (follow ? Infinity : LIMIT)
  const from = await startOf(reader, options, Number.isFinite(limit) ? limit : LIMIT)
  const shown = await printOrder(reader, { from, limit, follow, format, signal: stopSignal(), fetchSchema })
  if (shown === 0 && !follow) process.stderr.write(`no reading has sequence ${from} or a later one yet\n`)
}

async function startOf(reader: OrderReader, { from, since }: OrderOptions, limit: number): Promise<number> {
  if (from !== undefined) return from
  const next = (await reader.nextSequence()) ?? 0
  if (since !== undefined) return (await reader.sequenceAt(parseSince(since, Date.now()))) ?? next
  const first = (await reader.firstSequence()) ?? next
  return Math.max(first, next - limit)
}

function withOrder(env: Env, work: (reader: OrderReader, fetchSchema: FetchSchema) => Promise<void>): Promise<void> {
  return withKafka(env, async ({ config, kafka, admin }: Connected) => {
    if (!(await admin.listTopics()).includes(ORDER))
      throw new InputError(
        'UNKNOWN_TOPIC',
        'topic',
        `there is no topic ${ORDER} yet: start Plumbline by "plumbline up"`,
      )
    const fetchSchema = cachedSchemas(config.REGISTRY_URL, config.API_TOKEN)
    const reader = await OrderReader.open({ kafka, fetchSchema })
    try {
      await work(reader, fetchSchema)
    } finally {
      await reader.close()
    }
  })
}

/** Fires on Ctrl-C, so that work in progress ends cleanly. */
function stopSignal(): AbortSignal {
  const end = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => end.abort())
  return end.signal
}
