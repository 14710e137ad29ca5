// The database itself: how it is made, and whether one that exists is as it must be and as the settings say.
//
// Rows and progress are in different vnodes, each with a log of its own. Were these logs not forced to disk at every
// write, a power cut could leave progress without its rows; WAL_LEVEL 2 with WAL_FSYNC_PERIOD 0 forces them.
import { StoreError } from '../../errors.ts'
import { TdengineError } from './errors.ts'
import { stateOf } from './layout.ts'
import type { Rows, SqlTransport } from './transport.ts'

/** What an operator may choose; absent: the server's default, except for `keepDays`. */
export interface DatabaseSettings {
  readonly keepDays?: number
  readonly vgroups?: number
  readonly replica?: number
  readonly durationDays?: number
  readonly cacheModel?: 'none' | 'last_row'
}

/** A hundred years: what is too old is for Plumbline's own retention to say, not for an error. */
const KEEP_DAYS = 36_500
const DAY_MINUTES = 1_440

/**
 * Makes the database where there is none, and checks one that exists.
 * @throws StoreError STORE_SETTINGS that says what differs and the statement that helps
 */
export async function ensureDatabase(
  transport: SqlTransport,
  database: string,
  settings: DatabaseSettings,
): Promise<void> {
  const { keepDays = KEEP_DAYS, vgroups, replica, durationDays, cacheModel } = settings
  const options = [
    `PRECISION 'ms' KEEP ${keepDays}`,
    durationDays === undefined ? null : `DURATION ${durationDays}d`,
    vgroups === undefined ? null : `VGROUPS ${vgroups}`,
    replica === undefined ? null : `REPLICA ${replica}`,
    cacheModel === undefined ? null : `CACHEMODEL '${cacheModel}'`,
    'WAL_LEVEL 2 WAL_FSYNC_PERIOD 0',
  ]
  await transport.query(
    `CREATE DATABASE IF NOT EXISTS ${database} ${options.filter((option) => option !== null).join(' ')}`,
  )
  // Small, and kept whatever becomes of the readings.
  const replicas = replica === undefined ? '' : ` REPLICA ${replica}`
  await transport.query(
    `CREATE DATABASE IF NOT EXISTS ${stateOf(database)} PRECISION 'ms' KEEP ${KEEP_DAYS} VGROUPS 1${replicas} WAL_LEVEL 2 WAL_FSYNC_PERIOD 0`,
  )
  const [found] = await transport.query(
    `SELECT \`vgroups\`,\`replica\`,\`duration\`,\`keep\`,\`cachemodel\`,\`wal_level\`,\`wal_fsync_period\` FROM information_schema.ins_databases WHERE name='${database}'`,
  )
  // A server that does not list it has been asked by a user who may not see it: nothing can be said.
  if (found === undefined) return
  compare(database, settings, found)
  if (Number(found[5]) !== 2 || Number(found[6]) !== 0) await forceWal(transport, database)
}

function compare(database: string, settings: DatabaseSettings, found: Rows[number]): void {
  const [vgroups, replica, duration, keep, cacheModel] = found
  const alter = (option: string): string => `run ALTER DATABASE ${database} ${option}, or change the setting`
  const unchangeable = 'it cannot be changed in a database that exists: change the setting, or use another database'
  const differences: readonly (readonly [string, unknown, unknown, string])[] = [
    ['TDENGINE_KEEP_D', settings.keepDays, daysOf(keep), alter(`KEEP ${settings.keepDays}`)],
    ['TDENGINE_VGROUPS', settings.vgroups, Number(vgroups), unchangeable],
    ['TDENGINE_REPLICA', settings.replica, Number(replica), alter(`REPLICA ${settings.replica}`)],
    ['TDENGINE_DURATION_D', settings.durationDays, daysOf(duration), unchangeable],
    ['TDENGINE_CACHEMODEL', settings.cacheModel, cacheModel, alter(`CACHEMODEL '${settings.cacheModel}'`)],
  ]
  for (const [name, wanted, is, help] of differences)
    if (wanted !== undefined && wanted !== is)
      throw wrong(`${name} is ${String(wanted)} and the database ${database} has ${String(is)}; ${help}`)
  // Recorded on a real server: with these, last() answers what a NULL has overwritten since.
  if (cacheModel === 'both' || cacheModel === 'last_value')
    throw wrong(`the database ${database} has CACHEMODEL '${cacheModel}', with which TDengine answers outdated values; run ALTER DATABASE ${database} CACHEMODEL 'none'`) // prettier-ignore
}

async function forceWal(transport: SqlTransport, database: string): Promise<void> {
  const statement = `ALTER DATABASE ${database} WAL_LEVEL 2 WAL_FSYNC_PERIOD 0`
  try {
    await transport.query(statement)
  } catch (error) {
    if (!(error instanceof TdengineError)) throw error
    throw wrong(`the database ${database} does not force its log to disk, so that a power cut could lose rows that count as stored; run ${statement} (${error.message})`, error) // prettier-ignore
  }
}

/** Of "5256000m", "10d" or "5256000m,5256000m,5256000m": the first, in days. */
function daysOf(cell: unknown): number {
  const [, digits, unit] = /^(\d+)([mhd])/.exec(String(cell)) ?? []
  const minutes = Number(digits) * (unit === 'd' ? DAY_MINUTES : unit === 'h' ? 60 : 1)
  return minutes / DAY_MINUTES
}

const wrong = (message: string, cause?: unknown): StoreError => new StoreError('STORE_SETTINGS', message, { cause })
