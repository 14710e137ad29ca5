// The readings of a node from clean and late, merged by their arrival: at every step the head that arrived first is
// taken (clean before late, then by partition). The order follows from the heads alone, so an export that resumes from
// its offsets writes what an uninterrupted one would have written. Per partition the log's own order is kept.
import type { Admin, OffsetRange, RangeReader } from '../../platform/kafka/port.ts'
import { DecodeError } from '../../platform/codec/framed-decoder.ts'
import type { ReadingDecoder } from '../../platform/codec/reading-decoder.ts'
import { CLEAN, LATE } from '../../schemas/topics.ts'
import { type ExportFormat, exportLine } from './core/line.ts'
import { ExportPartition, type PartitionPlace } from './partition.ts'
import { CommandError } from '../core/errors.ts'

export const EXPORT_TOPICS = [CLEAN, LATE]
/** Characters buffered before they are written. */
const CHUNK_CHARS = 65_536

/** `stopped`: by the signal; it can be resumed. */
export type ExportState = 'underway' | 'stopped' | 'complete'

export interface ExportSink {
  /** Resolves when more may come. */
  write(text: string, lines: number): Promise<void>
  /** The offsets that match all written so far; called after every chunk. */
  reached(places: readonly PartitionPlace[], state: ExportState): Promise<void>
}

export interface ExportOptions {
  readonly reader: RangeReader
  readonly decoder: ReadingDecoder
  readonly nodeId: string
  readonly format: ExportFormat
  /** Event time from which readings are taken, ms; null: all. */
  readonly sinceMs: number | null
  readonly places: readonly PartitionPlace[]
  readonly sink: ExportSink
  readonly signal: AbortSignal
  readonly onRead: (records: number) => void
  /** A record that cannot be read, in words. */
  readonly onUnreadable: (what: string) => void
}

/** @returns the offsets reached: the ends, unless the signal fired before */
export async function runExport(options: ExportOptions): Promise<PartitionPlace[]> {
  const { reader, decoder, nodeId, sink, signal, onRead } = options
  const partitions = options.places.map((place) => new ExportPartition(place, nodeId, decoder, onRead))
  const places = (): PartitionPlace[] => partitions.map(({ place }) => place)
  for (;;) {
    if (signal.aborted) {
      await sink.reached(places(), 'stopped')
      return places()
    }
    await Promise.all(partitions.filter(({ needsFetch }) => needsFetch).map((partition) => partition.fetch(reader)))
    const { text, lines, ended } = takeChunk(partitions, options)
    if (text !== '') await sink.write(text, lines)
    await sink.reached(places(), ended ? 'complete' : 'underway')
    if (ended) return places()
  }
}

/** Takes heads until the chunk is full or a partition has none: what it would bring might come first. */
function takeChunk(
  partitions: readonly ExportPartition[],
  { format, sinceMs, onUnreadable }: ExportOptions,
): { text: string; lines: number; ended: boolean } {
  let text = ''
  let lines = 0
  for (;;) {
    const first = earliest(partitions)
    if (first === null) return { text, lines, ended: true }
    const { arrivalMs, place } = first
    try {
      const reading = first.take()
      if (reading !== null && (sinceMs === null || reading.ts >= sinceMs)) {
        text += exportLine(format, reading, arrivalMs, first.topic === LATE)
        lines += 1
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      onUnreadable(`${place.topic}/${place.partition} offset ${place.next}: ${error.message}`)
    }
    if (first.needsFetch || text.length >= CHUNK_CHARS) return { text, lines, ended: false }
  }
}

/** Null when all have reached their end. */
function earliest(partitions: readonly ExportPartition[]): ExportPartition | null {
  let first: ExportPartition | null = null
  for (const partition of partitions) if (partition.arrivalMs < (first?.arrivalMs ?? Infinity)) first = partition
  return first
}

/**
 * Where an export begins and ends.
 * @param former offsets that an earlier one has reached; empty: everything retained
 * @param finish the former ends hold: nothing but what that one had left is written
 * @throws PlumblineError when retention has removed what was not exported yet, or the topic is another one
 */
export async function planExport(
  admin: Admin,
  former: readonly PartitionPlace[],
  finish: boolean,
): Promise<PartitionPlace[]> {
  const places: PartitionPlace[] = []
  for (const topic of EXPORT_TOPICS) {
    const ranges = await admin.offsetRanges(topic)
    ranges.forEach((range, partition) => {
      const at = former.find((place) => place.topic === topic && place.partition === partition)
      if (finish && at === undefined) return
      const next = at === undefined ? range.start : goOn(at, range)
      places.push({ topic, partition, next, end: finish ? at!.end : Math.max(next, range.end) })
    })
  }
  return places
}

function goOn({ topic, partition, next }: PartitionPlace, { start, end }: OffsetRange): number {
  if (next < start)
    throw new CommandError(
      'EXPORT_EXPIRED',
      `${topic}/${partition}: retention has removed offsets ${next} to ${start - 1}, which were not exported yet; start over in another file`,
      { topic, partition, offset: next },
    )
  if (next > end)
    throw new CommandError(
      'EXPORT_OTHER_LOG',
      `${topic}/${partition} ends at ${end}, the export had reached ${next}: this is another topic of that name; start over in another file`,
      { topic, partition, offset: next },
    )
  return next
}
