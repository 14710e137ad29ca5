// Order records on their way into a transaction: encoded, and in batches that the topic takes.
import avsc from 'avsc'
import { encodeFramed } from '../../../platform/codec/reading.ts'
import { RecordBatchBuilder } from '../../../platform/kafka/record-batch/builder.ts'
import { loadSchema } from '../../../schemas/load.ts'
import type { OrderRecord } from '../core/sequence.ts'

/** Half of what the topic takes; a backlog is sent in several batches of one transaction. */
const BATCH_BYTES = 512 * 1024

const orderType = avsc.Type.forSchema(loadSchema('order') as unknown as avsc.Schema)

export class OrderBatches {
  readonly batches: RecordBatchBuilder[] = []
  readonly #schemaId: number

  constructor(schemaId: number) {
    this.#schemaId = schemaId
  }

  add(record: OrderRecord): void {
    let last = this.batches.at(-1)
    if (last === undefined || last.byteLength >= BATCH_BYTES) this.batches.push((last = new RecordBatchBuilder()))
    last.add(Buffer.from(String(record.partition)), encodeFramed(orderType, this.#schemaId, record))
  }
}
