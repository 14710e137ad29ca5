// What the command line adds to the environment before it is read: local state is next to the checkout, not in
// the current directory, and if `plumbline up` runs on other ports than the usual ones, the other
// commands find it by themselves. What the user has set always wins.
import { join, resolve } from 'node:path'
import { ROOT } from '../deploy/paths.ts'
import { readInstance } from '../deploy/stack/instance.ts'

const DEFAULT_DATA_DIR = join(ROOT, '.plumbline')

export type Environment = Readonly<Record<string, string | undefined>>

/** @param given the environment as it is; an empty variable counts as not set, as in loadConfig */
export function completeEnvironment(given: Environment): Record<string, string> {
  const set = Object.fromEntries(Object.entries(given).filter((entry): entry is [string, string] => Boolean(entry[1])))
  const dataDir = resolve(set.DATA_DIR ?? DEFAULT_DATA_DIR)
  const running = readInstance(dataDir)?.addresses ?? {}
  return { SQLITE_FILE: join(dataDir, 'store.sqlite'), ...running, ...set, DATA_DIR: dataDir }
}
