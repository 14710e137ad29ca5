// The end of a topic, decoded: the last records of its partitions by arrival time and then, if wished, what arrives.
// Memory is bounded by the number of records asked for: ranges are read in steps, and only the last ones are kept.
import { setTimeout as delay } from 'node:timers/promises'
import avsc from 'avsc'
import type { Config } from '../../platform/config.ts'
import type { Admin, FetchedBatch, Kafka, OffsetRange, RangeReader } from '../../platform/kafka/port.ts'
import { aborted } from '../../platform/lifecycle.ts'
import { FRAME_BYTES } from '../../platform/codec/reading.ts'
import { schemaInHeader, type SchemaName, schemaNameOf } from '../../platform/codec/framing.ts'
import { cachedSchemas, type FetchSchema } from '../../platform/codec/register.ts'
import { decodeValue, renderJson, renderRecord, type ShownRecord, textOf } from '../core/decode.ts'

const FOLLOW_POLL_MS = 500
/** A range may hold nothing but transaction markers and compacted records; then the next one below is read, so often. */
const STEPS_BACK_MAX = 8

export interface TailOptions {
  readonly config: Config
  readonly kafka: Kafka
  readonly admin: Admin
  readonly topic: string
  readonly records: number
  readonly partition?: number
  readonly follow: boolean
  readonly json: boolean
}

export async function tailTopic(options: TailOptions): Promise<void> {
  const { config, kafka, admin, topic, records, partition, follow, json } = options
  const reader = await kafka.rangeReader()
  const decoder = new Decoder(cachedSchemas(config.REGISTRY_URL, config.API_TOKEN))
  const print = (record: ShownRecord): void =>
    void process.stdout.write(`${json ? renderJson(record) : renderRecord(record)}\n`)
  try {
    const ranges = await admin.offsetRanges(topic)
    const wanted = ranges.flatMap((range, number) =>
      partition === undefined || partition === number ? [{ number, range }] : [],
    )
    const ends = new Map(wanted.map(({ number, range }) => [number, range.end]))
    const lasts = await Promise.all(
      wanted.map(({ number, range }) => lastRecords(reader, decoder, topic, number, range, records)),
    )
    const shown = lasts.flat().sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : a.offset - b.offset))
    for (const record of shown.slice(-records)) print(record)
    if (shown.length === 0 && !follow) process.stderr.write(`${topic} holds no records yet\n`)
    if (follow) await followTopic(options, reader, decoder, ends, print)
  } finally {
    await reader.close()
  }
}

/** Walks back from the end in growing steps until there are enough records. */
async function lastRecords(
  reader: RangeReader,
  decoder: Decoder,
  topic: string,
  partition: number,
  { start, end }: OffsetRange,
  wanted: number,
): Promise<ShownRecord[]> {
  let kept: ShownRecord[] = []
  let to = end
  for (
    let step = 0, width = wanted;
    step < STEPS_BACK_MAX && to > start && kept.length < wanted;
    step += 1, width *= 4
  ) {
    const from = Math.max(start, to - width)
    const found: ShownRecord[] = []
    await reader.read({ topic, partition }, from, to, async (fetched) => {
      found.push(...(await decoder.records(fetched, to)))
      if (found.length > wanted) found.splice(0, found.length - wanted)
    })
    kept = [...found, ...kept].slice(-wanted)
    to = from
  }
  return kept
}

async function followTopic(
  { admin, topic }: TailOptions,
  reader: RangeReader,
  decoder: Decoder,
  positions: Map<number, number>,
  print: (record: ShownRecord) => void,
): Promise<void> {
  const end = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => end.abort())
  while (!end.signal.aborted) {
    const ranges = await admin.offsetRanges(topic)
    for (const [partition, position] of positions) {
      const to = ranges[partition].end
      // What retention has removed meanwhile can no longer be shown.
      const from = Math.max(position, ranges[partition].start)
      if (to <= from) continue
      await reader.read({ topic, partition }, from, to, async (fetched) => {
        for (const record of await decoder.records(fetched, to)) print(record)
      })
      positions.set(partition, to)
    }
    await Promise.race([delay(FOLLOW_POLL_MS), aborted(end.signal)])
  }
}

/** Decodes by the schemas that the records name; each is parsed once. */
export class Decoder {
  readonly #fetch: FetchSchema
  readonly #types = new Map<number, avsc.Type | null>()

  constructor(fetch: FetchSchema) {
    this.#fetch = fetch
  }

  /** The records of a batch below `to`. */
  async records({ topic, partition, batches }: FetchedBatch, to: number): Promise<ShownRecord[]> {
    const shown: ShownRecord[] = []
    for (const batch of batches) {
      for (let i = 0; i < batch.count && batch.offset(i) < to; i += 1) {
        const type = await this.#typeOf(schemaNameOf(batch, i))
        const key = batch.key(i)
        const decoded = decodeValue(batch.value(i), type, schemaInHeader(batch, i) === null ? FRAME_BYTES : 0)
        shown.push({
          topic,
          partition,
          offset: batch.offset(i),
          time: new Date(batch.timestamp(i)).toISOString(),
          key: key === null ? null : String(printable(key)),
          headers: Object.fromEntries(
            batch.headers(i).map(({ key: name, value }) => [name, value === null ? '' : printable(value)]),
          ),
          ...decoded,
        })
      }
    }
    return shown
  }

  async #typeOf(name: SchemaName | null): Promise<avsc.Type | null> {
    if (name === null) return null
    const id = 'id' in name ? name.id : ((await this.#fetch.idOfGuid?.(name.guid)) ?? null)
    if (id === null) return null
    const known = this.#types.get(id)
    if (known !== undefined) return known
    const text = await this.#fetch(id)
    const type = text === null ? null : avsc.Type.forSchema(JSON.parse(text) as avsc.Schema, { logicalTypes: {} })
    // An id unknown to the registry may be anything: those are not cached.
    if (type !== null) this.#types.set(id, type)
    return type
  }
}

function printable(bytes: Buffer): string {
  const text = textOf(bytes)
  return typeof text === 'string' ? text : `0x${text.hex}`
}
