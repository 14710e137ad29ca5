// `plumbline export`: the readings of one node as JSON lines or CSV (MI-9), from clean and, marked, from late: into a
// file that a later run can continue, or to standard output as fast as it is taken.
import { once } from 'node:events'
import { Command, Option } from 'commander'
import { InputError, messageOf } from '../../platform/errors.ts'
import { ReadingDecoder } from '../../platform/codec/reading-decoder.ts'
import { askedIdProblem } from '../../platform/codec/identity.ts'
import { cachedSchemas } from '../../platform/codec/register.ts'
import { escapeControls } from '../core/decode.ts'
import { parseWhen } from '../dlq/core/filter.ts'
import { type ExportFormat, exportHeader } from './core/line.ts'
import { type Checkpoint, ExportFile, readCheckpoint } from './file.ts'
import type { PartitionPlace } from './partition.ts'
import { EXPORT_TOPICS, type ExportSink, planExport, runExport } from './run.ts'
import { Progress } from '../progress.ts'
import { type Connected, withKafka } from '../with-kafka.ts'
import { CommandError } from '../core/errors.ts'

const INTERRUPTED = 130
/** The store's and query API's bound on identifiers. */
/** More would hide what is said at the end. */
const UNREADABLE_SHOWN = 10

const EXAMPLES = `
Lines are in order of arrival, per sensor in the order of telemetry.clean. "late": true marks what came too late for its
place or corrects an earlier reading. FILE.checkpoint is written beside FILE; keep it to continue: with --resume an export that
was interrupted is brought to its end without a doubled or torn line, and then what has come since is added. The --since
that it was begun with holds.

Examples:
  plumbline export --node node-0001 > node-0001.jsonl
  plumbline export --node node-0001 --format csv --out node-0001.csv
  plumbline export --node node-0001 --out node-0001.jsonl --resume
  plumbline export --node node-0001 --since 2h | jq -c 'select(.late)'`

interface ExportArguments {
  readonly node: string
  readonly format: ExportFormat
  readonly out?: string
  readonly resume?: true
  readonly since?: string
}

export function exportCommand(env: Readonly<Record<string, string>>): Command {
  return new Command('export')
    .description('write the readings of one node as JSON lines or CSV')
    .requiredOption('--node <id>', 'the node, as node_id of its readings says')
    .addOption(new Option('--format <format>', 'of the lines').choices(['jsonl', 'csv']).default('jsonl'))
    .option('--out <file>', 'into this file; to standard output if not given')
    .option('--resume', 'continue where an earlier export into the file stopped')
    .option('--since <time>', 'event time at or after: ISO 8601, ms since 1970, or 2h for two hours ago')
    .addHelpText('after', EXAMPLES)
    .action((given: ExportArguments) => {
      const problem = askedIdProblem('--node', given.node)
      if (problem !== null) throw new InputError('NODE', 'node', problem)
      if (given.resume && given.out === undefined)
        throw new InputError('OPTIONS', 'resume', '--resume continues a file: give --out FILE, too')
      return withKafka(env, (at) => exportNode(at, given))
    })
}

async function exportNode(at: Connected, given: ExportArguments): Promise<void> {
  const existing = await at.admin.listTopics()
  const missing = EXPORT_TOPICS.filter((topic) => !existing.includes(topic))
  if (missing.length > 0)
    throw new InputError(
      'UNKNOWN_TOPIC',
      'topic',
      `there is no topic ${missing.join(', ')} yet: "plumbline up" makes it`,
    )
  const sinceMs = given.since === undefined ? null : parseWhen(given.since, 'since', Date.now())
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
  if (given.out === undefined) await toOutput(at, given, sinceMs, stop)
  else await toFile(at, given, given.out, sinceMs, stop.signal)
}

async function toOutput(at: Connected, given: ExportArguments, sinceMs: number | null, stop: AbortController) {
  const output = new StandardOutput(() => stop.abort())
  await output.write(exportHeader(given.format), 0)
  await run(at, given, sinceMs, await planExport(at.admin, [], false), output, stop.signal)
  if (stop.signal.aborted && !output.isClosed) process.exitCode = INTERRUPTED
  if (output.lines === 0 && !stop.signal.aborted) nothing(given)
}

async function toFile(
  at: Connected,
  given: ExportArguments,
  path: string,
  sinceMs: number | null,
  signal: AbortSignal,
) {
  const unlock = ExportFile.lock(path)
  const former = readCheckpoint(path, given.resume ?? false, given)
  const isUnfinished = former?.complete === false
  let places = await planExport(at.admin, former?.places ?? [], isUnfinished)
  const since = former === null ? sinceMs : former.since_ms
  const file = await openFile(path, given, since, former, places, unlock)
  try {
    places = await run(at, given, since, places, file, signal)
    if (isUnfinished && !signal.aborted) {
      // The interrupted part is complete; what has arrived since is a step of its own.
      places = await planExport(at.admin, places, false)
      await run(at, given, since, places, file, signal)
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    throw new CommandError('WRITE', `${path} cannot be written: ${messageOf(error)}; continue with --resume`, {
      cause: error,
    })
  } finally {
    await file.close()
  }
  const count = `${file.lines.toLocaleString('en')} lines of node ${given.node} in ${path}`
  if (signal.aborted) {
    say(`stopped with ${count}; continue with --resume`)
    process.exitCode = INTERRUPTED
  } else if (file.lines === 0) nothing(given)
  else say(count)
}

async function openFile(
  path: string,
  { node, format }: ExportArguments,
  since_ms: number | null,
  former: Checkpoint | null,
  places: readonly PartitionPlace[],
  unlock: () => void,
): Promise<ExportFile> {
  try {
    return await ExportFile.open(path, { node, format, since_ms }, former, places, unlock)
  } catch (cause) {
    throw new InputError('OPEN', 'out', `${path} cannot be written: ${messageOf(cause)}`)
  }
}

async function run(
  { config, kafka }: Connected,
  { node, format }: ExportArguments,
  sinceMs: number | null,
  places: readonly PartitionPlace[],
  sink: ExportSink,
  signal: AbortSignal,
): Promise<PartitionPlace[]> {
  const progress = new Progress('export', 'records read')
  const decoder = new ReadingDecoder(cachedSchemas(config.REGISTRY_URL, config.API_TOKEN))
  const reader = await kafka.rangeReader()
  let unreadable = 0
  try {
    return await runExport({
      ...{ reader, decoder, nodeId: node, format, sinceMs, places, sink, signal },
      onRead: (records) => progress.add(records),
      onUnreadable: (what) => {
        unreadable += 1
        if (unreadable <= UNREADABLE_SHOWN) say(`left out, cannot be read: ${what}`)
      },
    })
  } finally {
    await reader.close()
    if (unreadable > UNREADABLE_SHOWN) say(`left out in all, cannot be read: ${unreadable} records`)
  }
}

/** Respects backpressure of standard output. A reader that closes it, as `head` does, ends the export. */
class StandardOutput implements ExportSink {
  #lines = 0
  #isClosed = false

  constructor(onClosed: () => void) {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      this.#isClosed = true
      onClosed()
    })
  }

  get lines(): number {
    return this.#lines
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  async write(text: string, lines: number): Promise<void> {
    if (text === '' || this.#isClosed) return
    this.#lines += lines
    // Bytes are harmless in a file; on a terminal they might control it.
    const shown = process.stdout.isTTY ? escapeControls(text) : text
    if (!process.stdout.write(shown)) await once(process.stdout, 'drain').catch(() => undefined)
  }

  reached(): Promise<void> {
    return Promise.resolve()
  }
}

/** An unknown name is a mistake; a known one may have nothing since a time. */
function nothing({ node, since }: ExportArguments): void {
  const name = JSON.stringify(node)
  if (since !== undefined) return say(`nothing is kept of node ${name} since then`)
  throw new InputError('NODE', 'node', `nothing is kept of node ${name}: "plumbline cluster" lists the nodes`)
}

const say = (text: string): void => void process.stderr.write(escapeControls(`export: ${text}\n`))
