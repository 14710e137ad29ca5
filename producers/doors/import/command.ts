// The import as a command: options to a mapping, survey, log, broker, and a summary for people. What it prints goes
// to the functions that it is given.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../../platform/clock.ts'
import { readingType } from '../../../platform/codec/reading.ts'
import type { Config } from '../../../platform/config.ts'
import { InputError } from '../../../platform/errors.ts'
import type { Kafka } from '../../../platform/kafka/port.ts'
import type { Logger } from '../../../platform/log.ts'
import { WalDirectory } from '../../../platform/wal/directory.ts'
import { Loops } from '../../loops.ts'
import { Outbox } from '../../outbox.ts'
import { Uplink } from '../../uplink.ts'
import { Mapping, type MappingOptions } from './mapping.ts'
import type { TimeBounds } from '../event-time.ts'
import { PRESETS } from './presets.ts'
import { findRun, markComplete } from './progress-file.ts'
import { checkEncoding } from './rows.ts'
import { checkSurvey, importReadings } from './run.ts'
import { digestOf, ERRORS_SHOWN, type FileOptions, NODE_ID, type Survey, surveyFile } from './survey.ts'

/** As the command line has them. */
export interface ImportArguments {
  readonly format?: 'csv' | 'jsonl'
  readonly delimiter?: string
  readonly preset?: string
  readonly map?: readonly string[]
  readonly tsColumns?: readonly string[]
  readonly tsFormat?: string
  readonly sensor?: string
  readonly sensorColumn?: string
  readonly tenant?: string
  readonly site?: string
  readonly missing?: string
  readonly encoding: string
  /** Times before it are refused, ms; INGEST_EARLIEST if not given. */
  readonly earliest?: number
  readonly start?: 'now'
  readonly rate?: number
  readonly maxErrors: number
}

export interface ImportContext {
  readonly config: Config
  readonly log: Logger
  readonly kafka: Kafka
  readonly schemaId: number
  readonly signal: AbortSignal
  /** What the import found and did. */
  readonly print: (line: string) => void
  /** How far it is; `done` the last time. */
  readonly progress: (text: string, done: boolean) => void
}

const QUIET_MS = 2_000
const PROGRESS_MS = 500
const DRAINED_CHECK_MS = 20

/**
 * @returns whether the broker has every reading of the file
 * @throws InputError naming an option, a column or a line
 */
export async function importFile(file: string, given: ImportArguments, context: ImportContext): Promise<boolean> {
  const { config, log, signal, print } = context
  const { options, identity } = describeFile(file, given, {
    earliestMs: given.earliest ?? config.INGEST_EARLIEST,
    futureMs: config.REFINE_FUTURE_MS,
  })
  const now = systemClock.now()
  const survey = await surveyFile(options, now)
  printErrors(survey, print)
  checkSurvey(survey, given.maxErrors)
  const shifted = given.start === 'now'
  const run = findRun(
    config.DATA_DIR,
    await digestOf(file, identity),
    shifted,
    shifted ? Math.round(now - survey.tsMax) : 0,
    now,
  )
  const clock = systemClock
  const wal = new WalDirectory(config, clock, log).openDir(run.dir, NODE_ID)
  const before = wal.acknowledged
  if (wal.appended > 0)
    print(
      `${wal.appended} of ${survey.readings} readings are in the log already${run.complete ? ' and were delivered: nothing to do' : ': continuing after them'}`,
    )
  const outbox = new Outbox({ wal, ringCapacity: config.RING_CAPACITY })
  const uplink = new Uplink({ kafka: context.kafka, clock, log, random: Math.random })
  uplink.add({ outbox, flush: true })
  const loops = new Loops(clock)
  const begun = clock.mono()
  const show = (done: boolean): void => {
    if (clock.mono() - begun >= QUIET_MS)
      context.progress(`${wal.acknowledged} of ${survey.readings} readings delivered, ${outbox.depth} waiting`, done)
  }
  loops.add(() => uplink.run(loops.signal))
  loops.every(PROGRESS_MS, () => show(false))
  if (config.WAL_FSYNC_MS > 0) loops.every(config.WAL_FSYNC_MS, () => wal.sync())
  const work = async (): Promise<void> => {
    const source = {
      ...options,
      outbox,
      type: readingType,
      schemaId: context.schemaId,
      ratePerS: given.rate,
      clock,
      onProgress: () => undefined,
    }
    await importReadings({ ...source, shiftMs: run.shiftMs, begunAtMs: run.begunAtMs }, signal)
    while (outbox.depth > 0 && !signal.aborted) await clock.sleep(DRAINED_CHECK_MS)
  }
  await Promise.race([work(), loops.failure()])
  loops.stop()
  await loops.failure()
  show(true)
  await wal.close()
  const complete = wal.acknowledged === survey.readings
  if (complete) markComplete(run)
  const seconds = (clock.mono() - begun) / 1000
  print(
    `${wal.acknowledged - before} readings delivered in ${seconds.toFixed(1)} s, ${survey.rejected} rows rejected${complete ? '' : `; ${survey.readings - wal.acknowledged} are left: run the same command again to go on`}`,
  )
  return complete
}

/** `identity` is what decides which readings a file makes. */
function describeFile(
  file: string,
  given: ImportArguments,
  bounds: TimeBounds,
): { options: FileOptions; identity: unknown } {
  if (!existsSync(file)) throw new InputError('NO_FILE', 'file', `${file} does not exist`)
  const preset = given.preset === undefined ? undefined : PRESETS[given.preset]
  if (given.preset !== undefined && preset === undefined)
    throw new InputError(
      'PRESET',
      'preset',
      `there is no preset ${given.preset}; there is ${Object.keys(PRESETS).join(', ')}`,
    )
  const format = given.format ?? preset?.format ?? formatOf(file)
  const delimiter = given.delimiter ?? preset?.delimiter ?? ','
  const encoding = checkEncoding(given.encoding)
  const base = preset?.mapping
  const mapping: MappingOptions = {
    map: given.map ?? base?.map ?? [],
    tsColumns: given.tsColumns ?? base?.tsColumns ?? ['ts'],
    tsFormat: given.tsFormat ?? base?.tsFormat ?? 'ms',
    sensor: given.sensor ?? base?.sensor,
    sensorColumn: given.sensorColumn ?? base?.sensorColumn,
    tenant: given.tenant ?? base?.tenant,
    site: given.site ?? base?.site,
    missing: given.missing ?? base?.missing ?? '',
    tags: base?.tags ?? {},
  }
  return {
    options: { file, format, delimiter, encoding, mapping: new Mapping(mapping), bounds },
    // The usual encoding is left out, so that a file that earlier versions began is continued, not imported again.
    identity: { format, delimiter, mapping, ...(encoding === 'utf-8' ? {} : { encoding }) },
  }
}

function formatOf(file: string): 'csv' | 'jsonl' {
  if (/\.(jsonl|ndjson)$/i.test(file)) return 'jsonl'
  if (/\.(csv|tsv|txt)$/i.test(file)) return 'csv'
  throw new InputError(
    'FORMAT',
    'format',
    `${join(file)} ends in neither .csv nor .jsonl: give --format csv or --format jsonl`,
  )
}

function printErrors({ rejected, errors }: Survey, print: (line: string) => void): void {
  for (const { line, column, code, message } of errors) print(`line ${line}, ${column || 'row'}: ${message} (${code})`)
  if (rejected > errors.length) print(`… and ${rejected - errors.length} more; the first ${ERRORS_SHOWN} are shown`)
}
