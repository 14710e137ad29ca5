// A core with words for what happens to it, for tests of single rules.
import type { Reading } from '../../../platform/codec/reading.ts'
import { type TestRecord, recordBatchOf } from '../../../platform/kafka/record-batch/record-batch.test-support.ts'
import { feed, newCore, readingAt, Recorder, recordOf, SETTINGS, START_MS } from './arrivals.test-support.ts'
import type { CoreSettings } from './settings.ts'

export function started(changes: Partial<CoreSettings> = {}) {
  const out = new Recorder()
  const core = newCore(out, { ...SETTINGS, ...changes })
  let offset = 0
  const give = (at: number, ...records: TestRecord[]): void => {
    feed(core, [recordBatchOf(records, { baseOffset: offset, appendTime: START_MS + at })])
    offset += records.length
  }
  const seqs = (topic: 'clean' | 'late'): number[] => out.of(topic).map(({ payload }) => readingAt(payload).seq)
  return { out, core, give, seqs, deadLetters: () => out.of('dead letters').map(({ detail }) => detail.split(':')[0]) }
}

export const numbered = (seq: number, more: Partial<Reading> = {}): TestRecord =>
  recordOf({ epoch: 1, seq, ts: START_MS - 60_000 + seq * 100, ...more })
export const plain = (ts: number, more: Partial<Reading> = {}): TestRecord =>
  recordOf({ ts: START_MS - 60_000 + ts, ...more })
