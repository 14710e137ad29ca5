// Three requests that kafkajs 2.2.4 lacks: DescribeProducers, ListTransactions and DescribeTransactions, version 0
// of each. They tell who holds back a partition's last stable offset, and since when. All are "flexible": lengths are
// unsigned varints of length + 1, and every structure ends in tagged fields.
// Source: the schemas in org.apache.kafka, clients/src/main/resources/common/message.
import type { ForeignRequest } from './cluster.ts'

export interface ActiveProducer {
  readonly partition: number
  readonly producerId: string
  /** Time of its last batch in this partition, ms. */
  readonly lastTimestampMs: number
  readonly firstOffset: number
}

export interface ListedTransaction {
  readonly transactionalId: string
  readonly producerId: string
}

export interface DescribedTransaction {
  readonly producerId: string
  readonly startMs: number
}

/** Ask the partitions' leader. Answers with producers that have an open transaction there. */
export const describeProducers = (topic: string, partitions: readonly number[]): ForeignRequest<ActiveProducer[]> =>
  foreign(
    61,
    'DescribeProducers',
    new Writer().array([topic], (w, name) =>
      w
        .string(name)
        .array(partitions, (list, partition) => list.int32(partition))
        .noTags(),
    ),
    (answer) => {
      answer.int32() // throttle time
      const topics = answer.array(() => {
        answer.string()
        const producers = answer.array(() => {
          const partition = answer.int32()
          refuse('DescribeProducers', answer.int16())
          answer.string()
          const active = answer.array(() => {
            const producerId = answer.int64()
            answer.int32() // producer epoch
            answer.int32() // last sequence
            const lastTimestampMs = Number(answer.int64())
            answer.int32() // coordinator epoch
            const firstOffset = Number(answer.int64())
            answer.skipTags()
            return { partition, producerId: String(producerId), lastTimestampMs, firstOffset }
          })
          answer.skipTags()
          return active.filter(({ firstOffset }) => firstOffset >= 0)
        })
        answer.skipTags()
        return producers.flat()
      })
      return topics.flat()
    },
  )

/** Ask every broker: each answers for the transactions that it coordinates. */
export const listTransactions = (producerIds: readonly string[]): ForeignRequest<ListedTransaction[]> =>
  foreign(
    66,
    'ListTransactions',
    new Writer().array([], () => undefined).array(producerIds, (w, id) => w.int64(BigInt(id))),
    (answer) => {
      answer.int32() // throttle time
      refuse('ListTransactions', answer.int16())
      answer.array(() => answer.string()) // filters that it does not know
      return answer.array(() => {
        const transactionalId = answer.string() ?? ''
        const producerId = String(answer.int64())
        answer.string() // state
        answer.skipTags()
        return { transactionalId, producerId }
      })
    },
  )

/** Ask the broker that listed them. */
export const describeTransactions = (ids: readonly string[]): ForeignRequest<DescribedTransaction[]> =>
  foreign(
    65,
    'DescribeTransactions',
    new Writer().array(ids, (w, id) => w.string(id)),
    (answer) => {
      answer.int32() // throttle time
      return answer
        .array(() => {
          const code = answer.int16()
          answer.string() // transactional id
          answer.string() // state
          answer.int32() // time-out
          const startMs = Number(answer.int64())
          const producerId = String(answer.int64())
          answer.int16() // producer epoch
          answer.array(() => {
            answer.string()
            answer.array(() => answer.int32())
            answer.skipTags()
          })
          answer.skipTags()
          return { code, producerId, startMs }
        })
        .filter(({ code, startMs }) => code === 0 && startMs >= 0)
    },
  )

function foreign<T>(apiKey: number, apiName: string, body: Writer, read: (answer: Reader) => T): ForeignRequest<T> {
  // The client writes a header of version 1; version 2 has tagged fields after it, which begin the body here.
  const buffer = Buffer.concat([Buffer.from([0]), body.noTags().toBuffer()])
  return {
    request: { apiKey, apiVersion: 0, apiName, encode: () => Promise.resolve({ buffer }) },
    response: {
      decode: async (bytes) => {
        const answer = new Reader(bytes)
        answer.skipTags()
        return read(answer)
      },
      parse: (answer) => Promise.resolve(answer),
    },
  }
}

const AUTHORISATION_FAILED = new Set([29, 31, 53])

function refuse(apiName: string, code: number): void {
  if (code === 0) return
  const why = AUTHORISATION_FAILED.has(code) ? 'this user may not ask (grant Describe)' : `error code ${code}`
  throw new Error(`${apiName}: ${why}`)
}

class Writer {
  readonly #bytes: number[] = []

  #uvarint(value: number): this {
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#bytes.push((rest % 0x80) | 0x80)
    this.#bytes.push(rest)
    return this
  }

  int32(value: number): this {
    this.#bytes.push((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)
    return this
  }

  int64(value: bigint): this {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(value)
    this.#bytes.push(...bytes)
    return this
  }

  string(value: string): this {
    const bytes = Buffer.from(value)
    this.#uvarint(bytes.length + 1).#bytes.push(...bytes)
    return this
  }

  array<T>(items: readonly T[], write: (writer: this, item: T) => unknown): this {
    this.#uvarint(items.length + 1)
    for (const item of items) write(this, item)
    return this
  }

  noTags(): this {
    this.#bytes.push(0)
    return this
  }

  toBuffer(): Buffer {
    return Buffer.from(this.#bytes)
  }
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  #uvarint(): number {
    let value = 0
    for (let i = 0; i < 5; i += 1) {
      const byte = this.#bytes.readUInt8(this.#at++)
      value += (byte & 0x7f) * 128 ** i
      if (byte < 0x80) return value
    }
    throw new RangeError('a length of more than 32 bits')
  }

  int16(): number {
    return this.#bytes.readInt16BE((this.#at += 2) - 2)
  }

  int32(): number {
    return this.#bytes.readInt32BE((this.#at += 4) - 4)
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE((this.#at += 8) - 8)
  }

  /** Null where it is absent. */
  string(): string | null {
    const length = this.#uvarint() - 1
    if (length < 0) return null
    this.#at += length
    return this.#bytes.toString('utf8', this.#at - length, this.#at)
  }

  array<T>(read: () => T): T[] {
    const length = this.#uvarint() - 1
    // An item takes at least one byte: a count beyond the end of the response is wrong.
    if (length > this.#bytes.length - this.#at) throw new RangeError(`an array of ${length} items`)
    return Array.from({ length: Math.max(0, length) }, read)
  }

  skipTags(): void {
    const count = this.#uvarint()
    for (let i = 0; i < count; i += 1) {
      this.#uvarint()
      this.#at += this.#uvarint()
    }
  }
}
