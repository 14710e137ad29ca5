// Record batches that no consumer can read, as bytes that a broker stores all the same: a payload that is not what the
// codec says, a codec that does not exist, counts and lengths that contradict the content. Offsets stay well formed, as a
// broker sees to it.
import { RecordBatchBuilder } from '../platform/kafka/record-batch/builder.ts'
import { HEADER_BYTES } from '../platform/kafka/record-batch/record-batch.ts'
import { pick, type Random, whole } from './random.ts'

const ATTRIBUTES_AT = 21
const COUNT_AT = 57
const CODECS = [1, 2, 3, 4] as const
const NO_CODEC = 7

type Damage = (batch: Buffer, random: Random) => Buffer

const withCodec = (batch: Buffer, codec: number): Buffer => {
  batch.writeInt16BE(batch.readInt16BE(ATTRIBUTES_AT) | codec, ATTRIBUTES_AT)
  return batch
}

const DAMAGES: readonly Damage[] = [
  (batch, random) => withCodec(batch, pick(random, CODECS)),
  (batch) => withCodec(batch, NO_CODEC),
  (batch, random) => {
    batch.writeInt32BE(batch.readInt32BE(COUNT_AT) + whole(random, 1, 1_000_000), COUNT_AT)
    return batch
  },
  (batch) => {
    batch.writeInt32BE(-1, COUNT_AT)
    return batch
  },
  (batch, random) => batch.subarray(0, whole(random, HEADER_BYTES, batch.length - 1)),
  (batch, random) => {
    batch[whole(random, HEADER_BYTES, HEADER_BYTES + 3)] ^= 0x7f
    return batch
  },
]

/** Its records are damaged when it is sent; the checksum is the broker's, and right. */
export class DamagedBatch extends RecordBatchBuilder {
  readonly #random: Random

  constructor(random: Random) {
    super()
    this.#random = random
  }

  override finish(...args: Parameters<RecordBatchBuilder['finish']>): Buffer {
    return pick(this.#random, DAMAGES)(Buffer.from(super.finish(...args)), this.#random)
  }
}
