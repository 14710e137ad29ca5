// Every setting of every process: name, check, default and meaning in one list, from which the table in
// docs/reference.md is made. A main.ts loads it once from the environment; what comes out is validated and frozen. An unknown name in one
// of our families is an error, since a misspelt setting that silently does nothing is worse than none.
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { ConfigError } from './errors.ts'
import { BOUNDS, within } from './bounds.ts'
import { int, optional, secret, type Setting, setting, text } from './setting.ts'

const port = int(0, 65_535)
const file = text.min(1)
/** With its scheme: "localhost:8081" would pass as a URL of the scheme "localhost". */
const url = (protocol: RegExp) => z.url({ protocol, error: `expected a URL of a scheme like ${protocol.source}` })
/** A day, UTC, as ms since 1970. */
const date = () => z.iso.date('expected a date like 2000-01-01').transform((text) => Date.parse(text))
/** For addresses that are named in messages. */
const withoutCredentials = (address: z.ZodType<string>) =>
  address.refine(
    (given) => !/^\w+:\/\/[^/?#]*@/.test(given),
    'a user or password in the address would be seen in messages: expected none; API_TOKEN is sent',
  )
/** scheme://host:port/database */
const tdengineUrl = url(/^(https?|wss?)$/).refine(
  (given) => /^\w+:\/\/[^/?#@]*(\/([a-z][a-z0-9_]{0,31})?)?$/.test(given),
  'expected an address without user and password, followed at most by the name of a database in lower-case letters, digits and "_"',
)
/** host:port, comma separated. */
const brokers = text.regex(/^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$/, 'expected host:port, several separated by commas')

/** What is valid in a header unescaped, and cannot be guessed: 16 random characters have some 80 bits or more. */
const bearer = text.regex(
  /^[\x21-\x7e]{16,1024}$/,
  'expected from 16 to 1024 printable ASCII characters without spaces, such as "openssl rand -hex 32" prints',
)

export const SETTINGS = {
  // Where things are
  KAFKA_BROKERS: setting(brokers, '127.0.0.1:9092', 'Bootstrap brokers, host:port, comma separated.'),
  KAFKA_TLS_CA_FILE: optional(file, 'PEM file of the authority that signed the brokers’ certificates; turns TLS on.'),
  KAFKA_TLS_CERT_FILE: optional(file, 'PEM file of the client certificate.'),
  KAFKA_TLS_KEY_FILE: optional(file, 'PEM file of the client certificate’s key.'),
  KAFKA_SASL_MECHANISM: optional(
    z.enum(['plain', 'scram-sha-256', 'scram-sha-512']),
    'SASL mechanism; none if not set.',
  ),
  KAFKA_SASL_USERNAME: optional(text.min(1), 'SASL user.'),
  KAFKA_SASL_PASSWORD: secret('SASL password.'),
  REGISTRY_URL: setting(
    withoutCredentials(url(/^https?$/)),
    'http://127.0.0.1:8081',
    'Schema registry, Confluent’s REST API.',
  ),
  STORE: setting(z.enum(['sqlite', 'tdengine']), 'sqlite', 'Which store the sink writes and the query API reads.'),
  SQLITE_FILE: setting(file, '.plumbline/store.sqlite', 'File of the embedded store.'),
  TDENGINE_URL: optional(
    tdengineUrl,
    'taosAdapter, `http://host:6041`, or `ws://host:6041` by the package `@tdengine/websocket`, which you install yourself; with a path, `/name`, the database of that name, else `plumbline`.',
  ),
  TDENGINE_USERNAME: setting(text.min(1), 'root', 'TDengine user.'),
  TDENGINE_PASSWORD: secret('TDengine password; that of a fresh server if not set.'),
  TDENGINE_KEEP_D: optional(int(1, 36_500), 'Days that TDengine keeps readings; a hundred years if not set.'),
  TDENGINE_VGROUPS: optional(int(1, 1_024), 'Vgroups of the TDengine database; its own default if not set.'),
  TDENGINE_REPLICA: optional(int(1, 3), 'Replicas of the TDengine database; its own default if not set.'),
  TDENGINE_DURATION_D: optional(
    int(1, 3_650),
    'Days in one file of the TDengine database; its own default if not set.',
  ),
  TDENGINE_CACHEMODEL: optional(
    z.enum(['none', 'last_row']),
    'Cache of the TDengine database; its own default if not set. A setting that differs from a database that exists is refused at the start.',
  ),
  STORE_KEEP_ROWS_D: setting(
    int(0, 36_500),
    '0',
    'Days, by event time, that readings are kept as rows; 0: for ever. Shorter than what is imported, it turns history into aggregates. The embedded store only.',
  ),
  STORE_KEEP_1S_D: setting(
    int(0, 36_500),
    '7',
    'Days that aggregates of 1 s are kept; before that rows answer as long as they are kept. 0: for ever.',
  ),
  STORE_KEEP_1M_D: setting(int(0, 36_500), '0', 'Days that aggregates of 1 m are kept; 0: for ever.'),
  STORE_KEEP_1H_D: setting(
    int(0, 36_500),
    '0',
    'Days that aggregates of 1 h are kept; 0: for ever (some 2 MB per sensor and year).',
  ),
  DATA_DIR: setting(file, '.plumbline', 'Folder of write-ahead logs and other local state.'),
  // How they talk
  LISTEN_HOST: setting(text.min(1), '127.0.0.1', 'Address to listen on. Anything but loopback needs API_TOKEN.'),
  API_TOKEN: secret('Token that every HTTP request but GET /healthz must carry; required off loopback.', bearer),
  QUERY_API_URL: optional(
    withoutCredentials(url(/^https?$/)),
    'Where commands ask the query API; LISTEN_HOST and QUERY_API_PORT if not set.',
  ),
  PRODUCERS_URL: optional(
    withoutCredentials(url(/^https?$/)),
    'Where `plumbline produce` sends readings; LISTEN_HOST and PRODUCERS_PORT if not set.',
  ),
  QUERY_API_PORT: setting(port, '8080', 'Port of the query API.'),
  REGISTRY_PORT: setting(port, '8081', 'Port of the local schema registry.'),
  PRODUCERS_PORT: setting(port, '8082', 'Port of the producers: POST /readings, health, metrics.'),
  STREAM_JOBS_PORT: setting(port, '8083', 'Port of the stream jobs: health, metrics.'),
  SINKS_PORT: setting(port, '8084', 'Port of the sinks: health, metrics.'),
  REPLICA_PORT: setting(port, '0', 'Port of a replica: health, metrics; 0: any that is free.'),
  LOG_LEVEL: setting(z.enum(['trace', 'debug', 'info', 'warn', 'error']), 'info', 'Minimum log level.'),
  TOPIC_PARTITIONS: setting(int(1, 1024), '6', 'Partitions of the data topics when they are created.'),
  TOPIC_REPLICATION: setting(int(1, 9), '1', 'Replicas of every topic when it is created.'),
  // Members and the total order
  MEMBER_ID: optional(
    text.regex(/^[\w.@-]{1,100}$/),
    'Name of this process among the members of the cluster; by its service, host and process if not set.',
  ),
  HEARTBEAT_MS: setting(int(100, 60_000), '5000', 'Time between the heartbeats of a member, ms.'),
  HEARTBEAT_TIMEOUT_MS: setting(
    int(500, 600_000),
    '10000',
    'Time without a heartbeat after which a member is taken out of the view, ms.',
  ),
  SEQUENCER_GROUP: setting(
    text.regex(/^[\w.-]{1,100}$/),
    'sequencer',
    'Consumer group of the sequencers; one of them is active.',
  ),
  SEQUENCER_SESSION_MS: setting(
    int(1_000, 300_000),
    '6000',
    'Time after which another sequencer takes over from a silent one, ms.',
  ),
  // Producers
  WAL_SEGMENT_BYTES: setting(int(4_096, 2 ** 30), '8388608', 'Size at which a WAL segment is closed, bytes.'),
  WAL_MAX_BYTES: setting(
    int(65_536, 2 ** 40),
    '1073741824',
    'Bound of one WAL on disk, bytes; at it new readings are refused.',
  ),
  WAL_FSYNC_MS: setting(
    int(0, 60_000),
    '100',
    'How often the WAL is forced to disk, ms; 0: before every acknowledgement.',
  ),
  RING_CAPACITY: setting(
    int(16, 10_000_000),
    '20000',
    'Readings that a node keeps in memory until they are acknowledged.',
  ),
  HTTP_BODY_BYTES: setting(int(1_024, 2 ** 28), '8388608', 'Largest body of POST /readings, bytes.'),
  // Refine
  REFINE_GROUP: setting(text.regex(/^[\w.-]{1,100}$/), 'refine', 'Consumer group of refine.'),
  REFINE_COMMIT_MS: setting(int(1, 10_000), '100', 'Longest time that readings wait for their transaction, ms.'),
  REFINE_GAP_TIMEOUT_MS: setting(
    within(BOUNDS.gapTimeoutMs),
    '2000',
    'How long an early reading waits for the missing ones, ms of arrival time.',
  ),
  REFINE_GAP_BUFFER: setting(within(BOUNDS.gapBuffer), '64', 'Early readings kept per sensor.'),
  REFINE_HOLD_BACK_MS: setting(
    within(BOUNDS.holdBackMs),
    '2000',
    'How long a reading without seq is held back to be put in order, ms of arrival time.',
  ),
  REFINE_HOLD_BACK_BUFFER: setting(within(BOUNDS.holdBackBuffer), '256', 'Readings without seq held back per sensor.'),
  REFINE_FUTURE_MS: setting(
    within(BOUNDS.futureMs),
    '300000',
    'How far event time may be ahead of arrival time, ms; beyond it a reading is dead-lettered.',
  ),
  REFINE_AHEAD_MS: setting(
    within(BOUNDS.aheadMs),
    '5000',
    'How far event time may be ahead without doubt, ms; what is further ahead than its sensor has lately been goes to late.',
  ),
  REFINE_EARLIEST: setting(
    date(),
    '2000-01-01',
    'Earliest event time, as a day (UTC); earlier ones are usually in another unit: POST /readings and import refuse them, refine dead-letters them.',
  ),
  REFINE_SNAPSHOT_MS: setting(int(100, 3_600_000), '10000', 'Longest time between snapshots, ms.'),
  REFINE_SNAPSHOT_RECORDS: setting(int(100, 100_000_000), '100000', 'Records after which a snapshot is due.'),
  REFINE_SESSION_MS: setting(
    int(1_000, 300_000),
    '10000',
    'Time after which a silent member loses its partitions, ms.',
  ),
  DETECTOR_Z: setting(within(BOUNDS.z), '3', 'Absolute z-score that makes an anomaly.'),
  DETECTOR_WINDOW: setting(within(BOUNDS.window), '300', 'Samples per metric that the z-score looks back on.'),
  DETECTOR_MIN_SAMPLES: setting(within(BOUNDS.minSamples), '30', 'Samples before the first z-score.'),
  // Sinks and query
  SINK_GROUP: setting(text.regex(/^[\w.-]{1,100}$/), 'sink', 'Consumer group of the sink.'),
  SINK_SESSION_MS: setting(int(1_000, 300_000), '10000', 'Time after which a silent sink loses its partitions, ms.'),
  SINK_LINGER_MS: setting(int(1, 10_000), '100', 'Longest time that rows wait for their batch, ms.'),
  SINK_WRITE_TIMEOUT_MS: setting(
    int(100, 60_000),
    '5000',
    'Deadline of one write to the store, ms; beyond it the write is aborted and counts as an outage.',
  ),
  QUERY_STALENESS_MS: setting(
    int(100, 3_600_000),
    '5000',
    'Staleness bound of every answer, ms, unless the client asks for another.',
  ),
} satisfies Record<string, Setting>

/** Variables that hold a secret or name its file: a program that is not ours starts without them. */
export const SECRET_NAMES: readonly string[] = Object.entries(SETTINGS as Record<string, Setting>).flatMap(
  ([name, { secret: isSecret }]) => (isSecret ? [name, `${name}_FILE`] : []),
)

type Settings = typeof SETTINGS
export type SettingName = keyof Settings
export type Config = { readonly [K in SettingName]: z.output<Settings[K]['check']> }

/** Names that begin like ours but belong to Kafka's own scripts. */
const FOREIGN = new Set([
  'KAFKA_HOME',
  'KAFKA_OPTS',
  'KAFKA_HEAP_OPTS',
  'KAFKA_LOG4J_OPTS',
  'KAFKA_JMX_OPTS',
  'KAFKA_JVM_PERFORMANCE_OPTS',
  'KAFKA_GC_LOG_OPTS',
])
/** Of the simulated fleet, which is no setting: its options are those of a command line. */
const FLEET = /^(FLEET|FAULT)_/
const FAMILIES = [...new Set(Object.keys(SETTINGS).map((name) => name.slice(0, name.indexOf('_') + 1)))].filter(
  (family) => !['', 'LOG_', 'API_', 'DATA_', 'LISTEN_', 'HTTP_', 'TOPIC_'].includes(family),
)

/**
 * The configuration of a process.
 * @param env the environment, read by main.ts
 * @throws ConfigError naming every unknown or unacceptable variable
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = unknownNames(env)
  const values: Record<string, unknown> = {}
  for (const [name, declared] of Object.entries(SETTINGS) as [SettingName, Setting][]) {
    // A blank variable counts as not set: Number(' ') would be 0.
    const given = valueOf(name, declared, env, problems)?.trim()
    const parsed = declared.check.safeParse(given === '' ? declared.default : (given ?? declared.default))
    if (parsed.success) values[name] = parsed.data
    else {
      const shown = declared.secret ? '' : ` is ${JSON.stringify(withoutUser(given))}:`
      problems.push(`${name}${shown} ${parsed.error.issues.map((issue) => issue.message).join('; ')}`)
    }
  }
  if (problems.length > 0) throw new ConfigError(`configuration: ${problems.join('\n  ')}`)
  const config = Object.freeze(values) as Config
  checkTogether(config)
  return config
}

function valueOf(
  name: string,
  declared: Setting,
  env: Readonly<Record<string, string | undefined>>,
  problems: string[],
): string | undefined {
  // Blank counts as not set here as everywhere.
  const path = declared.secret ? env[`${name}_FILE`]?.trim() : undefined
  if (path === undefined || path === '') return env[name]
  try {
    const content = readFileSync(path, 'utf8').trim()
    // Not the same as no secret: a file that is named must be there.
    if (content === '') problems.push(`${name}_FILE: the file is empty`)
    return content
  } catch {
    problems.push(`${name}_FILE: the file cannot be read`)
    return undefined
  }
}

/** A URL may carry a password in front of its @, which no message may show. */
const withoutUser = (given: string | undefined): string | undefined => given?.replace(/^.*@/s, '…@')

function unknownNames(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = new Set<string>(Object.keys(SETTINGS))
  const secretFiles = new Set(
    Object.entries(SETTINGS).flatMap(([name, declared]) => ('secret' in declared ? [`${name}_FILE`] : [])),
  )
  const simulated = Object.keys(env).filter((name) => FLEET.test(name))
  return Object.keys(env)
    .filter((name) => FAMILIES.some((family) => name.startsWith(family)))
    .filter((name) => !known.has(name) && !secretFiles.has(name) && !FOREIGN.has(name))
    .map((name) => `${name} is not a setting of Plumbline; docs/reference.md lists them`)
    .concat(
      simulated.map((name) => `${name} is not a setting: the simulated fleet has options, see "plumbline up --help"`),
    )
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])

function checkTogether(config: Config): void {
  if (!LOOPBACK.has(config.LISTEN_HOST) && config.API_TOKEN === undefined)
    throw new ConfigError(
      `LISTEN_HOST is ${config.LISTEN_HOST}, which is not loopback: set API_TOKEN or API_TOKEN_FILE`,
    )
  checkSasl(config)
  if (config.STORE === 'tdengine' && config.TDENGINE_URL === undefined)
    throw new ConfigError('STORE is tdengine, which needs TDENGINE_URL, for example http://127.0.0.1:6041')
  if ((config.KAFKA_TLS_CERT_FILE === undefined) !== (config.KAFKA_TLS_KEY_FILE === undefined))
    throw new ConfigError('KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE belong together')
  const orEver = (days: number): number => (days === 0 ? Infinity : days)
  for (const [fine, coarse] of [
    ['STORE_KEEP_ROWS_D', 'STORE_KEEP_1M_D'],
    ['STORE_KEEP_1M_D', 'STORE_KEEP_1H_D'],
  ] as const)
    if (orEver(config[coarse]) < orEver(config[fine]))
      throw new ConfigError(`${coarse} must not be less than ${fine}: the one is corrected from the other`)
  if (config.HEARTBEAT_TIMEOUT_MS <= config.HEARTBEAT_MS)
    throw new ConfigError('HEARTBEAT_TIMEOUT_MS must exceed HEARTBEAT_MS: a member could not stay in time')
  if (config.DETECTOR_MIN_SAMPLES > config.DETECTOR_WINDOW)
    throw new ConfigError('DETECTOR_MIN_SAMPLES must not exceed DETECTOR_WINDOW')
}

/** Half of it would connect as nobody: a user or a password that is set must be used. */
function checkSasl(config: Config): void {
  const names = ['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'] as const
  const missing = names.filter((name) => config[name] === undefined)
  if (missing.length === 0 || missing.length === names.length) return
  const given = names.filter((name) => !missing.includes(name))
  const wanted = missing.map((name) => (name === 'KAFKA_SASL_PASSWORD' ? `${name} (or ${name}_FILE)` : name))
  throw new ConfigError(`${given.join(' and ')} needs ${wanted.join(' and ')} too`)
}

/** The table of the reference, in Markdown. */
export function settingsTable(): string {
  const rows = Object.entries(SETTINGS as Record<string, Setting>).map(
    ([name, { default: value, doc, secret: hidden }]) => {
      const shown = hidden ? `none; or \`${name}_FILE\`` : value === undefined ? 'none' : `\`${value}\``
      return `| \`${name}\` | ${shown} | ${doc} |`
    },
  )
  return ['| variable | default | meaning |', '|---|---|---|', ...rows].join('\n')
}
