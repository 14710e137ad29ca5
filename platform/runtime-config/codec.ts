// The records of `config` and `config.acks`, written and read. Reading ends in one of three ways: a version that is
// acceptable as a whole, the reason why the record is not, or an error while the registry cannot be reached.
import avsc from 'avsc'
import { encodeFramed } from '../codec/reading.ts'
import { InputError, messageOf } from '../errors.ts'
import type { OutgoingBatch } from '../kafka/port.ts'
import { RecordBatchBuilder } from '../kafka/record-batch/builder.ts'
import { DecodeError, FramedDecoder } from '../codec/framed-decoder.ts'
import { loadSchema } from '../../schemas/load.ts'
import type { FetchSchema } from '../codec/register.ts'
import { CONFIG, CONFIG_ACKS } from '../../schemas/topics.ts'
import { checkConfig, type RuntimeConfig } from './document.ts'
import type { BaseValues } from './settings.ts'

/** The one key of `config`. */
export const CONFIG_KEY = 'config'

export interface ConfigAck {
  readonly node_id: string
  readonly kind: string
  /** The version that is applied. */
  readonly version: number
  readonly at: number
  /** Why a newer version was refused; null: it was not. */
  readonly refused: string | null
}

const typeOf = (schema: string): avsc.Type => avsc.Type.forSchema(loadSchema(schema) as unknown as avsc.Schema)
const configType = typeOf('config')
const ackType = typeOf('config-ack')

export function configBatch(config: RuntimeConfig, schemaId: number): OutgoingBatch {
  const records = new RecordBatchBuilder()
  records.add(Buffer.from(CONFIG_KEY), encodeFramed(configType, schemaId, config))
  return { topic: CONFIG, partition: 0, records }
}

/** Acknowledgements, each under its node's id. */
export function ackBatch(acks: Iterable<ConfigAck>, schemaId: number): OutgoingBatch {
  const records = new RecordBatchBuilder()
  for (const ack of acks) records.add(Buffer.from(ack.node_id), encodeFramed(ackType, schemaId, ack))
  return { topic: CONFIG_ACKS, partition: 0, records }
}

export type ReadConfig = { readonly config: RuntimeConfig } | { readonly refused: string }

export class ConfigReader {
  readonly #decoder: FramedDecoder<RuntimeConfig>
  readonly #base: BaseValues | undefined

  constructor(fetchSchema: FetchSchema, base?: BaseValues) {
    this.#decoder = new FramedDecoder('config', fetchSchema)
    this.#base = base
  }

  /** @throws RegistryError while the registry cannot be reached */
  async read(key: string, value: Buffer | null): Promise<ReadConfig> {
    if (key !== CONFIG_KEY)
      return {
        refused: `the record has the key ${JSON.stringify(key.slice(0, 80))}; the only key is ${JSON.stringify(CONFIG_KEY)}`,
      }
    if (value === null) return { refused: 'a configuration cannot be deleted: set an empty one' }
    try {
      return { config: checkConfig(await this.#decoder.decode(value), this.#base) }
    } catch (error) {
      if (error instanceof DecodeError || error instanceof InputError) return { refused: messageOf(error) }
      throw error
    }
  }
}

export const ackDecoder = (fetchSchema: FetchSchema): FramedDecoder<ConfigAck> =>
  new FramedDecoder('config-ack', fetchSchema)
