// A table of framed Avro values (platform/kafka/topic-table.ts), decoded. A value that cannot be decoded is skipped with a
// warning: one bad record must not hide all that follow it. While the registry cannot be reached nothing is skipped: the
// table waits.
import { messageOf } from '../errors.ts'
import { type FollowedTable, followTable, type TableOptions } from '../kafka/topic-table.ts'
import { DecodeError, type FramedDecoder } from '../codec/framed-decoder.ts'
import { retryWhile } from '../retry.ts'

const RETRY = { baseMs: 200, capMs: 5_000 }

export interface Row<T> {
  readonly key: string
  /** Null: the key was deleted. */
  readonly value: T | null
  readonly timestampMs: number
}

export interface DecodedTableOptions<T> extends Omit<TableOptions, 'onRecord'> {
  readonly decoder: FramedDecoder<T>
  readonly onRow: (row: Row<T>) => void
  /** The topic was recreated or is read from its beginning again: what was handed over before no longer counts. */
  readonly onRestart: () => void
}

export function followDecoded<T>(options: DecodedTableOptions<T>, signal: AbortSignal): FollowedTable {
  const { onRow, onRestart, ...table } = options
  let last = -1
  return followTable(
    {
      ...table,
      onRecord: async ({ key, value, timestampMs, offset }) => {
        const decoded = value === null ? null : await decode(options, value, signal)
        if (decoded === undefined) return
        if (offset <= last) onRestart()
        last = offset
        onRow({ key, value: decoded, timestampMs })
      },
    },
    signal,
  )
}

/** Undefined: the value cannot be read, or the signal has fired. */
async function decode<T>(
  { decoder, clock, random, log, topic }: DecodedTableOptions<T>,
  value: Buffer,
  signal: AbortSignal,
): Promise<T | undefined> {
  try {
    const decoded = await retryWhile(
      () => true,
      () => decoder.decode(value),
      {
        backoff: RETRY,
        clock,
        random,
        signal,
        isRetriable: (error) => !(error instanceof DecodeError),
        onFailure: (error, attempt) => {
          if (attempt === 0)
            log.warn({ topic, reason: messageOf(error) }, 'waiting for the schema registry to follow a topic')
        },
      },
    )
    return decoded ?? undefined
  } catch (error) {
    log.warn({ topic, reason: messageOf(error) }, 'skipped a record that cannot be decoded')
    return undefined
  }
}
