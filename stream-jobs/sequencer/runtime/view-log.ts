// Views as records of cluster.views: the key is the view's id as text, so compaction keeps every view; with each new one
// the view that has become too old gets a tombstone. Ids grow by one, so every id gets one.
import avsc from 'avsc'
import { encodeFramed } from '../../../platform/codec/reading.ts'
import type { Admin, RangeReader } from '../../../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../../../platform/kafka/record-batch/builder.ts'
import type { View } from '../../../platform/membership/cluster-state.ts'
import { DecodeError, type FramedDecoder } from '../../../platform/codec/framed-decoder.ts'
import { loadSchema } from '../../../schemas/load.ts'

/** Views that stay readable. */
const VIEWS_KEPT = 1_000
/** The last view is nearly always within this many offsets; if not, four times as many are read, and so on. */
const FIRST_WINDOW = 64

const viewType = avsc.Type.forSchema(loadSchema('view') as unknown as avsc.Schema)

export function viewRecords(view: View, schemaId: number): RecordBatchBuilder {
  const records = new RecordBatchBuilder()
  records.add(Buffer.from(String(view.view_id)), encodeFramed(viewType, schemaId, view))
  const expired = view.view_id - VIEWS_KEPT
  if (expired > 0) records.add(Buffer.from(String(expired)), null)
  return records
}

/** The last published view, searched from the end of the topic; null if there is none. */
export async function readLastView(
  admin: Admin,
  reader: RangeReader,
  topic: string,
  decoder: FramedDecoder<View>,
): Promise<View | null> {
  const [{ start, end }] = await admin.offsetRanges(topic)
  for (let width = FIRST_WINDOW, to = end; to > start; width *= 4) {
    const from = Math.max(start, to - width)
    let last: { id: number; value: Buffer } | null = null
    await reader.read({ topic, partition: 0 }, from, to, ({ batches }) => {
      for (const batch of batches) {
        for (let i = 0; i < batch.count && batch.offset(i) < to; i += 1) {
          const id = Number(batch.key(i)?.toString())
          const value = batch.value(i)
          // Kept beyond this batch, so copied.
          if (value !== null && Number.isSafeInteger(id) && id > 0) last = { id, value: Buffer.from(value) }
        }
      }
    })
    if (last !== null) return decodeView(last, decoder)
    to = from
  }
  return null
}

/** An unreadable view still has its id, and the next view replaces it: the order must not wait for that. */
async function decodeView({ id, value }: { id: number; value: Buffer }, decoder: FramedDecoder<View>): Promise<View> {
  try {
    return await decoder.decode(value)
  } catch (error) {
    if (error instanceof DecodeError) return { view_id: id, at: 0, leader: '', members: [] }
    throw error
  }
}
