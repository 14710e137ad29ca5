// What `plumbline doctor` concludes from what it has found: one finding for each thing that must be right, with the next step
// where it is not. Pure, so that every case is a row of a table in the test; command.ts looks at the machine.

/** A result, or why there is none. */
export type Found<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string }

export type Finding =
  | { readonly kind: 'ok'; readonly what: string; readonly detail: string }
  | { readonly kind: 'problem'; readonly what: string; readonly detail: string; readonly next: string }
  /** It could not be checked, for a reason that is a finding of its own. */
  | { readonly kind: 'skipped'; readonly what: string; readonly detail: string }

const ok = (what: string, detail: string): Finding => ({ kind: 'ok', what, detail })
const problem = (what: string, detail: string, next: string): Finding => ({ kind: 'problem', what, detail, next })
export const skipped = (what: string, detail: string): Finding => ({ kind: 'skipped', what, detail })

const NODE_MIN = 26
export function checkVersions(node: string, plumbline: string): Finding {
  const detail = `Plumbline ${plumbline}, Node ${node}`
  return Number(node.split('.')[0]) >= NODE_MIN
    ? ok('versions', detail)
    : problem('versions', `${detail}; Node ${NODE_MIN} is needed`, 'run it by bin/plumbline, which brings its own Node')
}

export interface Folder {
  readonly path: string
  readonly kind: 'folder' | 'other' | 'missing'
  /** Whether we may write to it, or create it if it is missing. */
  readonly writable: boolean
  /** Permission bits; null: it is missing. */
  readonly mode: number | null
}

export function checkFolder({ path, kind, writable, mode }: Folder): Finding {
  const what = 'permissions'
  if (kind === 'other') return problem(what, `DATA_DIR, ${path}, is not a folder`, 'set DATA_DIR to a folder')
  if (!writable)
    return problem(what, `DATA_DIR, ${path}, cannot be written`, `run: sudo chown -R "$USER" ${path}, or set DATA_DIR`)
  if (mode !== null && (mode & 0o077) !== 0)
    return problem(what, `DATA_DIR, ${path}, can be read by other users`, `run: chmod 700 ${path}`)
  return ok(what, kind === 'missing' ? `${path} will be made` : `${path} is writable and private`)
}

/** Kafka's segments and a WAL of the default size. */
const DISK_FREE_MIN = 2 * 1024 ** 3
export function checkDisk(freeBytes: number, totalBytes: number, path: string): Finding {
  const share = totalBytes === 0 ? 0 : Math.round((freeBytes / totalBytes) * 100)
  const detail = `${(freeBytes / 1024 ** 3).toFixed(1)} GiB free on the disk of ${path} (${share} %)`
  return freeBytes >= DISK_FREE_MIN
    ? ok('disk', detail)
    : problem('disk', detail, 'make room: at least 2 GiB; plumbline clean removes the kept data')
}

export interface PortUse {
  readonly setting: string
  readonly port: number
  /** By the running instance, by somebody else, or by nobody. */
  readonly use: 'ours' | 'other' | 'free'
  /** Who listens there, where that can be seen. */
  readonly by?: string
}

export function checkPorts(ports: readonly PortUse[], isRunning: boolean): Finding {
  const names = (which: PortUse['use']): string =>
    ports
      .filter(({ use }) => use === which)
      .map(({ setting, port, by }) => `${port} (${setting}${by === undefined ? '' : `, by ${by}`})`)
      .join(', ')
  const taken = names('other')
  if (taken !== '')
    return problem(
      'ports',
      `used by other programs: ${taken}`,
      'stop these programs, or set other ports by these settings',
    )
  const unused = names('free')
  if (isRunning && unused !== '')
    return problem('ports', `nothing listens on ${unused}`, 'see "plumbline status" and the log of that part')
  return ok('ports', isRunning ? 'every part listens' : 'all are free')
}

const TOKEN_CHARS_MIN = 16
export function checkToken(host: string, isLoopback: boolean, token: string | undefined): Finding {
  if (token === undefined) return ok('token', `none is needed: processes listen on ${host} only`)
  if (token.length < TOKEN_CHARS_MIN)
    return problem(
      'token',
      `API_TOKEN has ${token.length} characters; at least ${TOKEN_CHARS_MIN} are hard to guess`,
      'make one: openssl rand -base64 32',
    )
  return ok('token', isLoopback ? 'set' : `set; processes listen on ${host}`)
}

export function checkAnswers(what: 'broker' | 'registry', at: string, answer: Found<string>): Finding {
  if (answer.ok) return ok(what, `${at}: ${answer.value}`)
  const setting = what === 'broker' ? 'KAFKA_BROKERS' : 'REGISTRY_URL'
  return problem(what, `${at}: ${answer.reason}`, `start it with "plumbline up", or set ${setting}`)
}

export interface TopicFacts {
  readonly name: string
  readonly partitioning: 'data' | 'one'
  /** Null: the topic does not exist. */
  readonly partitions: number | null
}

export function checkTopics(topics: readonly TopicFacts[]): Finding {
  const missing = topics.filter(({ partitions }) => partitions === null).map(({ name }) => name)
  if (missing.length > 0)
    return problem(
      'topics',
      `missing: ${missing.join(', ')}`,
      '"plumbline up" makes them; on a broker of your own run deploy/docker/setup/main.ts',
    )
  const many = topics.filter(({ partitioning, partitions }) => partitioning === 'one' && partitions !== 1)
  if (many.length > 0)
    return problem(
      'topics',
      many.map(({ name, partitions }) => `${name} has ${partitions} partitions and needs exactly 1`).join('; '),
      'its order is spread over partitions: stop everything, delete the topic and start again',
    )
  const data = topics.filter(({ partitioning }) => partitioning === 'data')
  if (new Set(data.map(({ partitions }) => partitions)).size > 1)
    return problem(
      'topics',
      `data topics differ in partitions: ${data.map(({ name, partitions }) => `${name} ${partitions}`).join(', ')}`,
      'all must have the same number: do not change one of them alone',
    )
  return ok('topics', `${topics.length}, data topics with ${data.at(0)?.partitions ?? 0} partitions each`)
}

export interface GroupFacts {
  readonly group: string
  readonly topic: string
  readonly partitions: readonly {
    /** Null: the group has committed nothing. */
    readonly committed: number | null
    readonly start: number
    readonly end: number
  }[]
}

export function checkGroup({ group, topic, partitions }: GroupFacts): Finding {
  const what = `group ${group}`
  const lost = partitions.flatMap(({ committed, start }, partition) =>
    committed !== null && committed < start ? [`${partition}: ${committed} to ${start - 1}`] : [],
  )
  if (lost.length > 0)
    return problem(
      what,
      `${topic} no longer has offsets that were not read (partition ${lost.join('; ')})`,
      `records were removed before they were processed: see what the audit says, and raise the retention; to continue without them: plumbline partitions accept-loss ${topic} PARTITION`,
    )
  const beyond = partitions.flatMap(({ committed, end }, partition) =>
    committed !== null && committed > end ? [`${partition}: ${committed}, the end is ${end}`] : [],
  )
  if (beyond.length > 0)
    return problem(
      what,
      `its offsets are beyond the end of ${topic} (partition ${beyond.join('; ')})`,
      'the topic was deleted and made again: stop everything, then plumbline clean',
    )
  const isNew = partitions.every(({ committed }) => committed === null)
  if (!isNew && partitions.some(({ committed, end }) => committed === null && end > 0)) {
    const names = partitions.flatMap(({ committed, end }, partition) =>
      committed === null && end > 0 ? [partition] : [],
    )
    return problem(what, `no offset for partition ${names.join(', ')} of ${topic}`, 'look at the log of its processes')
  }
  const lag = partitions.reduce((sum, { committed, end, start }) => sum + Math.max(0, end - (committed ?? start)), 0)
  return ok(
    what,
    isNew ? `has not begun; ${topic} has ${lag} records` : `within the log of ${topic}, ${lag} behind its end`,
  )
}

export interface TransactionFacts {
  readonly topic: string
  readonly partition: number
  readonly transactionalId: string | null
  readonly firstOffset: number
  readonly ageMs: number
}

/** Ours end within 10 s, or the broker ends them. */
const TRANSACTION_MS_MAX = 60_000
export function checkTransactions(open: readonly TransactionFacts[]): Finding {
  const what = 'transactions'
  const old = open.filter(({ transactionalId, ageMs }) => transactionalId === null || ageMs > TRANSACTION_MS_MAX)
  if (old.length === 0) return ok(what, `${open.length} open, none for long`)
  const shown = old.map(({ topic, partition, transactionalId, firstOffset, ageMs }) => {
    const who = transactionalId === null ? 'one that no coordinator knows' : transactionalId
    return `${topic}/${partition} since offset ${firstOffset}, ${Math.round(ageMs / 1_000)} s: ${who}`
  })
  return problem(
    what,
    `nothing after these can be read: ${shown.join('; ')}`,
    'stop the process of that id and start it again; one that nobody knows is ended by kafka-transactions.sh abort',
  )
}

/** Above this a reading's arrival looks wrong; refine refuses what is 5 minutes ahead. */
const SKEW_MS_MAX = 2_000
export interface ClockFacts {
  readonly member: string
  /** What the broker stamped minus what the member's clock said: positive, the member's clock is behind. */
  readonly behindMs: number
}

export function checkClocks(members: readonly ClockFacts[]): Finding {
  if (members.length === 0) return skipped('clocks', 'no member has sent a heartbeat lately')
  const off = members.filter(({ behindMs }) => Math.abs(behindMs) > SKEW_MS_MAX)
  if (off.length === 0)
    return ok('clocks', `${members.length} members are within ${SKEW_MS_MAX / 1_000} s of the broker`)
  const shown = off
    .slice(0, 5)
    .map(({ member, behindMs }) => `${member} is ${Math.abs(behindMs)} ms ${behindMs > 0 ? 'behind' : 'ahead'}`)
  const rest = off.length > shown.length ? ` and ${off.length - shown.length} more` : ''
  return problem(
    'clocks',
    `${shown.join(', ')}${rest}`,
    'synchronise the clocks (NTP) of these machines and of the broker',
  )
}

/** @param rows progress entries; null: nothing has been stored yet */
export function checkStore(where: string, rows: Found<number | null>): Finding {
  if (!rows.ok)
    return problem(
      'store',
      `${where}: ${rows.reason}`,
      'check its path, owner and mode; a damaged file is filled again from Kafka',
    )
  return ok(
    'store',
    rows.value === null ? `${where}: nothing has been stored yet` : `${where}: readable, ${rows.value} partitions`,
  )
}

/** One line each, with the next step below a problem. */
export function doctorText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ what }) => what.length))
  const lines = findings.flatMap((finding) => {
    const head = `${finding.what.padEnd(width)}  ${finding.detail}`
    switch (finding.kind) {
      case 'ok':
        return [`ok       ${head}`]
      case 'skipped':
        return [`skipped  ${head}`]
      case 'problem':
        return [`PROBLEM  ${head}`, `         ${' '.repeat(width)}  → ${finding.next}`]
    }
  })
  const problems = findings.filter(({ kind }) => kind === 'problem').length
  const verdict = problems === 0 ? 'no problem found' : problems === 1 ? '1 problem' : `${problems} problems`
  return `${lines.join('\n')}\n${verdict}\n`
}
