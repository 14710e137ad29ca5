// The import as a command: options to a mapping, survey, log, broker, and a summary for people. What it prints goes
// to the functions that it is given.
import { existsSync } from 'node:fs'
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
import type { TimeBounds } from '../event-time.ts'
import { describeMapping, originsOf, unmappedNames, unusedColumns } from './core/describe.ts'
import { identityOf } from './core/plan.ts'
import { contradictions } from './core/warnings.ts'
import { describeFile } from './describe-file.ts'
import type { ImportArguments } from './options.ts'
import { preview } from './preview.ts'
import { findRun, markComplete } from './progress-file.ts'
import { checkSurvey, importReadings } from './run.ts'
import { digestOf, ERRORS_SHOWN, NODE_ID, type Survey, surveyFile } from './survey.ts'

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

/** Shows what an import would do; needs neither broker nor registry. */
export async function previewFile(
  file: string,
  given: ImportArguments,
  config: Config,
  print: (line: string) => void,
): Promise<void> {
  const described = describeFile(file, given.plan, given.mapping, boundsOf(given, config), true)
  if (given.writeMapping !== undefined && existsSync(given.writeMapping))
    throw new InputError('EXISTS', 'write-mapping', `${given.writeMapping} exists already; name a new file`)
  await preview(described, systemClock.now(), given.writeMapping, print)
}

const boundsOf = (given: ImportArguments, config: Config): TimeBounds => ({
  earliestMs: given.earliest ?? config.REFINE_EARLIEST,
  futureMs: config.REFINE_FUTURE_MS,
})

/**
 * @returns whether the broker has every reading of the file
 * @throws InputError naming an option, a column or a line
 */
export async function importFile(file: string, given: ImportArguments, context: ImportContext): Promise<boolean> {
  const { config, log, signal, print } = context
  if (given.writeMapping !== undefined)
    throw new InputError(
      'OPTIONS',
      'write-mapping',
      '--write-mapping belongs to --preview: an import writes no mapping',
    )
  const { options, plan } = describeFile(file, given.plan, given.mapping, boundsOf(given, config), false)
  const now = systemClock.now()
  for (const line of describeMapping(options.mapping)) print(line)
  const survey = await surveyFile(options, now)
  const origins = originsOf(options.mapping, survey.header, survey.units)
  for (const warning of contradictions(origins)) print(`! ${warning}`)
  for (const line of unusedColumns(options.mapping, survey.header)) print(line)
  for (const line of unmappedNames(survey.unmapped)) print(line)
  if (survey.filtered > 0) print(`${survey.filtered} rows are left out by --where`)
  printErrors(survey, print)
  checkSurvey(survey, given.maxErrors)
  const shifted = given.start === 'now'
  const run = findRun(
    config.DATA_DIR,
    await digestOf(file, identityOf(plan)),
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
    `${wal.acknowledged - before} readings delivered in ${seconds.toFixed(1)} s, ${survey.rejected} rows rejected${complete ? '' : `; ${survey.readings - wal.acknowledged} are left: run the same command again to continue`}`,
  )
  return complete
}

function printErrors({ rejected, empty, errors }: Survey, print: (line: string) => void): void {
  for (const { line, column, code, message } of errors) print(`line ${line}, ${column || 'row'}: ${message} (${code})`)
  const hidden = rejected - errors.length
  if (hidden > 0)
    print(
      `… and ${hidden} more${empty > 1 ? `, ${empty - 1} of them without a value as well` : ''}; the first ${ERRORS_SHOWN} are shown`,
    )
}
