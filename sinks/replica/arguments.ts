// What a replica is told when it is started: which one it is, where its folder is, and whether to continue with it.
import { parseArgs } from 'node:util'
import { ConfigError, messageOf } from '../../platform/errors.ts'

/** It becomes the name of a folder. */
const ID = /^[A-Za-z0-9][\w.-]{0,63}$/

export interface ReplicaArguments {
  readonly id: string
  /** The replica's folder is `root/id`. */
  readonly root: string
  readonly resume: boolean
}

/** @throws ConfigError: the id is no name, or an option is unknown */
export function readArguments(args: readonly string[]): ReplicaArguments {
  const { id = '', dir = 'data', resume = false } = parse(args)
  if (dir === '') throw new ConfigError('--dir is empty: expected a folder')
  return { id: checkedId(id), root: dir, resume }
}

/** @throws ConfigError */
export function checkedId(id: string): string {
  if (ID.test(id)) return id
  throw new ConfigError(
    `--id is ${JSON.stringify(id)}: expected a letter or digit, then at most 63 letters, digits, "_", "." and "-"`,
  )
}

function parse(args: readonly string[]): { id?: string; dir?: string; resume?: boolean } {
  const options = { id: { type: 'string' }, dir: { type: 'string' }, resume: { type: 'boolean' } } as const
  try {
    return parseArgs({ args: [...args], options, strict: true }).values
  } catch (error) {
    throw new ConfigError(messageOf(error))
  }
}
