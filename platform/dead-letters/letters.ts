// Reads telemetry.dlq and its marks. Letters pass by batch after batch and nothing of them is kept, so memory is bounded
// by one fetch, however many there are; marks are kept as ranges.
import type { Admin, OffsetRange, RangeReader } from '../kafka/port.ts'
import { DLQ, DLQ_MARKS } from '../../schemas/topics.ts'
import { type DeadLetter, readDeadLetter } from './letter.ts'
import { Marks, readMark } from './marks.ts'

/** Between two windows a reader that has enough, or is told to stop, can end. */
const WINDOW_OFFSETS = 10_000

/** Everything that is marked up to now. Somebody who is about to mark must have fenced others before. */
export async function readMarks(admin: Admin, reader: RangeReader): Promise<Marks> {
  const marks = new Marks()
  const topics = await admin.listTopics()
  if (!topics.includes(DLQ_MARKS)) return marks
  for (const [partition, { start, end }] of (await admin.offsetRanges(DLQ_MARKS)).entries())
    await readMarksOf(reader, partition, { start, end }, marks)
  return marks
}

export async function readMarksOf(
  reader: RangeReader,
  partition: number,
  { start, end }: OffsetRange,
  marks: Marks,
): Promise<void> {
  if (start >= end) return
  await reader.read({ topic: DLQ_MARKS, partition }, start, end, ({ batches }) => {
    for (const batch of batches) {
      for (let i = 0; i < batch.count; i += 1) {
        const mark = readMark(batch.key(i), batch.value(i))
        if (mark !== null) marks.add(mark)
      }
    }
  })
}

/** Calls `visit` with the letters of one fetch after another, in order, until `isEnough`. */
export async function eachLetters(
  reader: RangeReader,
  partition: number,
  { start, end }: OffsetRange,
  isEnough: () => boolean,
  visit: (letters: readonly DeadLetter[]) => void | Promise<void>,
): Promise<void> {
  for (let from = start; from < end && !isEnough(); from += WINDOW_OFFSETS) {
    const to = Math.min(end, from + WINDOW_OFFSETS)
    await reader.read({ topic: DLQ, partition }, from, to, async ({ batches }) => {
      const letters: DeadLetter[] = []
      for (const batch of batches)
        for (let i = 0; i < batch.count; i += 1)
          if (batch.offset(i) < to) letters.push(readDeadLetter(batch, i, partition))
      if (letters.length > 0 && !isEnough()) await visit(letters)
    })
  }
}
