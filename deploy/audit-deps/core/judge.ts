// Evaluates `npm audit --json` and the licences in the lock file. If the registry was unreachable there is no verdict:
// it must not look like "nothing found".

export interface Verdict {
  /** 0: nothing found; 1: action needed; 2: unknown. */
  readonly code: 0 | 1 | 2
  readonly lines: readonly string[]
}

/** @param answer as npm printed it */
export function judgeAdvisories(answer: string): Verdict {
  let report: unknown
  try {
    report = JSON.parse(answer)
  } catch {
    report = null
  }
  const vulnerabilities = membersOf(report, 'vulnerabilities')
  // Without this member it is an error of npm or the registry, whatever else it holds.
  if (vulnerabilities === null) {
    const why = membersOf(report, '')?.message ?? 'npm gave no report'
    return {
      code: 2,
      lines: [
        `NOT CHECKED for known vulnerabilities: ${String(why)}`,
        'Ask a package registry that has an audit endpoint.',
      ],
    }
  }
  const found = Object.values(vulnerabilities).map(
    (value) => value as { name?: string; severity?: string; range?: string },
  )
  if (found.length === 0) return { code: 0, lines: ['no known vulnerabilities'] }
  const lines = found.map(({ name, severity, range }) =>
    `${severity ?? 'unknown'}: ${name ?? '?'} ${range ?? ''}`.trimEnd(),
  )
  return { code: 1, lines: [`${found.length} packages with known vulnerabilities ("npm audit" says more):`, ...lines] }
}

/** Permissive licences, which require attribution only. */
const PERMISSIVE = new Set(['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0'])

/** Packages without a licence in package.json, and the licence that their licence file contains. */
const READ_BY_HAND: Readonly<Record<string, string>> = { 'node_modules/@kafkajs/confluent-schema-registry': 'MIT' }

/** @param lock package-lock.json, version 3, as text */
export function judgeLicences(lock: string): Verdict {
  const packages = membersOf(JSON.parse(lock), 'packages') ?? {}
  const shipped = Object.entries(packages as Record<string, { dev?: boolean; license?: string }>).filter(
    ([path, { dev }]) => path !== '' && dev !== true,
  )
  const others = shipped
    .map(([path, { license }]) => ({ path, license: license ?? READ_BY_HAND[path] ?? 'none stated' }))
    .filter(({ license }) => !PERMISSIVE.has(license))
  if (others.length === 0) return { code: 0, lines: [`licences of ${shipped.length} packages are permissive`] }
  const lines = others.map(({ path, license }) => `${path}: ${license}`)
  return { code: 1, lines: ['licences to look at before shipping:', ...lines] }
}

/** The member of that name ('' is the value itself) if it is an object; else null. */
function membersOf(value: unknown, name: string): Readonly<Record<string, unknown>> | null {
  if (typeof value !== 'object' || value === null) return null
  const member = name === '' ? value : (value as Record<string, unknown>)[name]
  return typeof member === 'object' && member !== null ? (member as Record<string, unknown>) : null
}
