// What `plumbline dlq` prints: dead letters as a table or as JSON, counts by reason, a value in hexadecimal, and what
// became, or would become, of them. Letters are untrusted: none of their bytes reach the terminal unescaped.
import { escapeControls, textOf } from '../../core/decode.ts'
import { type DeadLetter, placeText } from '../../../platform/dead-letters/letter.ts'
import type { LetterState, Outcome } from '../../../platform/dead-letters/marks.ts'
import type { Route } from './route.ts'
import { renderTable } from '../../core/table.ts'

const number = (value: number): string => value.toLocaleString('en')

/** A dead letter without its bytes. */
export interface LetterRow {
  readonly place: string
  readonly time: string
  readonly state: LetterState
  readonly stage: string
  readonly reason: string
  readonly message: string
  /** topic/partition@offset of the refused record. */
  readonly from: string
  readonly key: string | null
  /** Of the value; null: none. */
  readonly bytes: number | null
}

export function letterRow(letter: DeadLetter, state: LetterState): LetterRow {
  const { timeMs, stage, reason, message, from, key, value } = letter
  return {
    place: placeText(letter),
    time: new Date(timeMs).toISOString(),
    state,
    stage,
    reason,
    message,
    from: `${from.topic}/${from.partition}@${from.offset}`,
    key: key === null ? null : keyText(key),
    bytes: value?.length ?? null,
  }
}

function keyText(key: Buffer): string {
  const text = textOf(key)
  return typeof text === 'string' ? text : `0x${text.hex}`
}

/** Wide enough for our own reasons; --json and `show` have the whole text. */
const CELL_MAX = 48

const cell = (text: string): string => {
  const plain = escapeControls(text).replaceAll('\n', ' ').replaceAll('\t', ' ')
  return plain.length > CELL_MAX ? `${plain.slice(0, CELL_MAX - 1)}…` : plain
}

export function rowsText(rows: readonly LetterRow[]): string {
  return renderTable(
    ['place', 'time', 'state', 'stage', 'reason', 'from', 'key', 'bytes'],
    rows.map(({ place, time, state, stage, reason, from, key, bytes }) => [
      place,
      time,
      state,
      cell(stage),
      cell(reason),
      cell(from),
      cell(key ?? '–'),
      bytes === null ? '–' : number(bytes),
    ]),
    ['left', 'left', 'left', 'left', 'left', 'left', 'left', 'right'],
  )
}

interface Group {
  readonly stage: string
  readonly reason: string
  readonly topic: string
  open: number
  replayed: number
  dropped: number
  firstMs: number
  lastMs: number
  /** Of the last letter. */
  message: string
}

/** We have some twenty reasons of our own; foreign letters may bring any number. */
const GROUPS_MAX = 200
const OTHERS = '(others)'

/** Counts by stage, reason and topic. */
export class Summary {
  readonly #groups = new Map<string, Group>()

  add({ stage, reason, message, from, timeMs }: DeadLetter, state: LetterState): void {
    const name = JSON.stringify([stage, reason, from.topic])
    const isKept = this.#groups.has(name) || this.#groups.size < GROUPS_MAX
    const id = isKept ? name : OTHERS
    const [of, why, topic] = isKept ? [stage, reason, from.topic] : [OTHERS, OTHERS, OTHERS]
    const group = this.#groups.get(id) ?? {
      ...{ stage: of, reason: why, topic, open: 0, replayed: 0, dropped: 0 },
      ...{ firstMs: timeMs, lastMs: timeMs, message },
    }
    group[state] += 1
    group.firstMs = Math.min(group.firstMs, timeMs)
    if (timeMs >= group.lastMs) Object.assign(group, { lastMs: timeMs, message })
    this.#groups.set(id, group)
  }

  /** Most open letters first. */
  groups(): Group[] {
    return [...this.#groups.values()].sort((a, b) => b.open - a.open || a.firstMs - b.firstMs)
  }

  text(): string {
    const columns = ['stage', 'reason', 'from', 'open', 'replayed', 'dropped', 'last', 'last message']
    return renderTable(
      columns,
      this.groups().map(({ stage, reason, topic, open, replayed, dropped, lastMs, message }) => [
        ...[cell(stage), cell(reason), cell(topic), number(open), number(replayed), number(dropped)],
        ...[new Date(lastMs).toISOString(), cell(message)],
      ]),
      columns.map((column) => (['open', 'replayed', 'dropped'].includes(column) ? 'right' : 'left')),
    )
  }
}

const HEX_ROW_BYTES = 16
/** How much of a value is shown; --json has all of it. */
const HEX_BYTES_MAX = 1_024

/** Offset, bytes and text, 16 bytes per line. */
export function hexDump(bytes: Uint8Array): string {
  const lines: string[] = []
  for (let at = 0; at < Math.min(bytes.length, HEX_BYTES_MAX); at += HEX_ROW_BYTES) {
    const row = [...bytes.subarray(at, Math.min(at + HEX_ROW_BYTES, HEX_BYTES_MAX))]
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`  ${at.toString(16).padStart(8, '0')}  ${hex.padEnd(3 * HEX_ROW_BYTES - 1)}  ${text}`)
  }
  if (bytes.length > HEX_BYTES_MAX) lines.push(`  … and ${number(bytes.length - HEX_BYTES_MAX)} bytes more`)
  return lines.join('\n')
}

/** What a replay of the letter would do, in words. */
export function routeText({ from, key }: DeadLetter, route: Route): string {
  switch (route.kind) {
    case 'replay': {
      const onward = route.as === 'late' ? ', from there to telemetry.late: its place in the order is taken' : ''
      const moved = route.partition === from.partition ? '' : ', where its key belongs'
      return `to telemetry.raw/${route.partition}${moved}, under the key ${key === null ? '(none)' : keyText(key)}${onward}`
    }
    case 'stay':
      return `stays: ${route.why}`
    case 'unknown-schema':
      return 'stays: its schema is not known'
  }
}

const WHYS_MAX = 20

/** What became, or in a dry run would become, of the chosen letters. */
export class RunReport {
  readonly outcome: Outcome
  readonly dryRun: boolean
  done = 0
  asLate = 0
  stayed = 0
  /** Chosen, but replayed or dropped by an earlier run. */
  settledEarlier = 0
  stopped = false
  readonly whys = new Map<string, number>()

  constructor(outcome: Outcome, dryRun: boolean) {
    this.outcome = outcome
    this.dryRun = dryRun
  }

  settledBefore(): void {
    this.settledEarlier += 1
  }

  /** @param route null for a letter that is dropped */
  count(route: Route | null): void {
    if (route === null || route.kind === 'replay') {
      this.done += 1
      if (route?.as === 'late') this.asLate += 1
      return
    }
    this.stayed += 1
    const why = route.kind === 'stay' ? route.why : 'its schema is not known'
    const name = this.whys.has(why) || this.whys.size < WHYS_MAX ? why : 'other reasons'
    this.whys.set(name, (this.whys.get(name) ?? 0) + 1)
  }

  text(): string {
    const verb = this.dryRun ? `would be ${this.outcome}` : this.outcome
    const onward = this.asLate > 0 ? `, ${number(this.asLate)} of them on to telemetry.late` : ''
    return [
      `${number(this.done)} ${verb}${onward}`,
      ...(this.stayed > 0 ? [`${number(this.stayed)} stay open:`] : []),
      ...[...this.whys].map(([why, count]) => `  ${number(count)} ${oneLine(why)}`),
      ...(this.settledEarlier > 0 ? [`${number(this.settledEarlier)} were replayed or dropped before`] : []),
      ...(this.stopped ? ['stopped; run it again for the rest: nothing is done twice'] : []),
    ].join('\n')
  }

  json(): string {
    const { outcome, dryRun, done, asLate, stayed, settledEarlier, stopped } = this
    const whys = Object.fromEntries(this.whys)
    return JSON.stringify({ outcome, dryRun, done, asLate, stayed, whys, settledEarlier, stopped })
  }
}

const oneLine = (text: string): string => escapeControls(text).replaceAll('\n', ' ')
