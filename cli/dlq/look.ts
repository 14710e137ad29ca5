// `list` and `show`: what is in telemetry.dlq, read only.
import { InputError } from '../../platform/errors.ts'
import { cachedSchemas } from '../../platform/codec/register.ts'
import { DLQ, RAW } from '../../schemas/topics.ts'
import { type DeadLetter, type Place, placeText } from '../../platform/dead-letters/letter.ts'
import { escapeControls, renderRecord, type ShownRecord } from '../core/decode.ts'
import { type LetterFilter, matches, narrow } from './core/filter.ts'
import { hexDump, type LetterRow, letterRow, routeText, rowsText, Summary } from './core/report.ts'
import { Decoder } from '../topics/tail.ts'
import type { Connected } from '../with-kafka.ts'
import { eachLetters, readMarks } from '../../platform/dead-letters/letters.ts'
import { Routes } from './run.ts'

export interface ListOptions {
  readonly filter: LetterFilter
  /** Maximum number of letters: the oldest ones. */
  readonly limit: number
  readonly summary: boolean
  readonly json: boolean
  readonly signal: AbortSignal
  readonly onRead: (count: number) => void
}

export async function listLetters({ kafka, admin }: Connected, options: ListOptions): Promise<string> {
  const { filter, limit, signal, onRead } = options
  const reader = await kafka.rangeReader()
  const summary = new Summary()
  const rows: { timeMs: number; row: LetterRow }[] = []
  let matching = 0
  try {
    const marks = await readMarks(admin, reader)
    for (const [partition, range] of (await admin.offsetRanges(DLQ)).entries()) {
      let kept = 0
      const chosen = narrow(range, partition, filter)
      await eachLetters(
        reader,
        partition,
        chosen,
        () => signal.aborted,
        (letters) => {
          for (const letter of letters) {
            const state = marks.stateOf(letter)
            if (!matches(letter, state, filter)) continue
            matching += 1
            if (options.summary) summary.add(letter, state)
            else if (kept < limit) {
              kept += 1
              rows.push({ timeMs: letter.timeMs, row: letterRow(letter, state) })
            }
          }
          onRead(letters.length)
        },
      )
    }
  } finally {
    await reader.close()
  }
  if (options.summary) return options.json ? JSON.stringify(summary.groups()) : summary.text()
  const oldest = rows.sort((a, b) => a.timeMs - b.timeMs).slice(0, limit)
  return rowsOutput(
    oldest.map(({ row }) => row),
    matching,
    options.json,
  )
}

function rowsOutput(rows: readonly LetterRow[], matching: number, json: boolean): string {
  if (json) return rows.map((row) => JSON.stringify(row)).join('\n')
  if (matching === 0) return 'no dead letters'
  const more = matching - rows.length
  const rest =
    more > 0 ? `\n\n${more.toLocaleString('en')} more; --limit shows more of them, --summary counts them` : ''
  return rowsText(rows) + rest
}

/** @throws InputError if there is no such letter */
export async function showLetter({ config, kafka, admin }: Connected, place: Place, json: boolean): Promise<string> {
  const reader = await kafka.rangeReader()
  try {
    const range = (await admin.offsetRanges(DLQ))[place.partition] ?? { start: 0, end: 0 }
    const chosen = narrow(range, place.partition, { places: new Set([placeText(place)]) })
    const decoder = new Decoder(cachedSchemas(config.REGISTRY_URL, config.API_TOKEN))
    let found: { letter: DeadLetter; shown: ShownRecord } | undefined
    await eachLetters(
      reader,
      place.partition,
      chosen,
      () => found !== undefined,
      async ([letter]) => {
        const batch = { topic: DLQ, partition: place.partition, batches: [letter.batch], nextOffset: 0, endOffset: 0 }
        const shown = await decoder.records(batch, chosen.end)
        found = { letter, shown: shown.find(({ offset }) => offset === letter.offset)! }
      },
    )
    if (found === undefined) throw new InputError('NO_LETTER', 'place', absent(place, range))
    const { letter, shown } = found
    const state = (await readMarks(admin, reader)).stateOf(letter)
    const replay =
      state === 'open'
        ? routeText(letter, await new Routes(config, await admin.partitionCount(RAW)).of(letter))
        : `it was ${state}`
    return json ? showJson(letter, shown, state, replay) : showText(letter, shown, state, replay)
  } finally {
    await reader.close()
  }
}

const absent = (place: Place, { start, end }: { start: number; end: number }): string =>
  `there is no dead letter at ${placeText(place)}; partition ${place.partition} keeps offsets from ${start} to below ${end}`

function showText({ value }: DeadLetter, shown: ShownRecord, state: string, replay: string): string {
  const bytes = value === null ? [] : [`  value, ${value.length.toLocaleString('en')} bytes:`, hexDump(value)]
  return [renderRecord(shown), `  state: ${state}`, escapeControls(`  replay: ${replay}`), ...bytes].join('\n')
}

function showJson({ key, value }: DeadLetter, shown: ShownRecord, state: string, replay: string): string {
  const raw = { key_base64: key?.toString('base64') ?? null, value_base64: value?.toString('base64') ?? null }
  return JSON.stringify({ ...shown, state, replay, ...raw })
}
