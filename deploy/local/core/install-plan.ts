// How to install the programs that the local stack needs, decided from what is known of the machine: with apt-get
// if we are root or have passwordless sudo, else one line with the command for the system's own package
// manager. Pure: findings in, commands or a message out.

export const TOOLS = ['java', 'maven', 'openssl', 'redis'] as const
export type ToolName = (typeof TOOLS)[number]
export type PackageManager = 'apt-get' | 'dnf' | 'apk'

/** Kafka 4 does not run on anything older. */
export const JAVA_MIN = 17

export interface Machine {
  readonly packageManager: PackageManager | null
  /** As root, by passwordless sudo, or not at all. */
  readonly root: 'root' | 'sudo' | 'none'
  /** Whether the package manager knows a package; called only if it will be used. */
  readonly offers: (name: string) => boolean
}

export type InstallPlan =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'install'; readonly what: string; readonly commands: readonly (readonly string[])[] }
  | { readonly kind: 'tell'; readonly message: string }

const WHAT: Readonly<Record<ToolName, string>> = {
  java: `Java ${JAVA_MIN} or later`,
  maven: 'Maven',
  openssl: 'openssl',
  redis: 'redis-server',
}

/** The first one available is taken; if none is known to be, the first is named. */
const PACKAGES: Readonly<Record<PackageManager, Readonly<Record<ToolName, readonly string[]>>>> = {
  'apt-get': {
    // Debian 12 has 17, Debian 13 has 21, Ubuntu has several.
    java: ['openjdk-17-jre-headless', 'openjdk-21-jre-headless', 'openjdk-25-jre-headless'],
    maven: ['maven'],
    openssl: ['openssl'],
    redis: ['redis-server'],
  },
  dnf: { java: ['java-21-openjdk-headless'], maven: ['maven'], openssl: ['openssl'], redis: ['redis'] },
  apk: { java: ['openjdk21-jre-headless'], maven: ['maven'], openssl: ['openssl'], redis: ['redis'] },
}
const INSTALL: Readonly<Record<PackageManager, string>> = {
  'apt-get': 'apt-get install -y --no-install-recommends',
  dnf: 'dnf install -y',
  apk: 'apk add',
}
/** Another installation may be in progress. */
const DPKG_LOCK = ['-o', 'DPkg::Lock::Timeout=300']
/** Our own files are private; what a package installs is for everybody. */
const PUBLIC_UMASK = ['sh', '-c', 'umask 022; exec "$@"', 'sh']

export const whatOf = (missing: readonly ToolName[]): string => missing.map((tool) => WHAT[tool]).join(', ')

/** @param missing the tools not found */
export function planInstall(missing: readonly ToolName[], { packageManager, root, offers }: Machine): InstallPlan {
  if (missing.length === 0) return { kind: 'nothing' }
  const what = whatOf(missing)
  if (packageManager === null) {
    const debian = missing.map((tool) => PACKAGES['apt-get'][tool][0]).join(' ')
    const message = `missing: ${what}; install them, on Debian or Ubuntu by: apt-get install ${debian}`
    return { kind: 'tell', message }
  }
  const packages = missing.map((tool) => {
    const candidates = PACKAGES[packageManager][tool]
    return candidates.find(offers) ?? candidates[0]
  })
  if (packageManager === 'apt-get' && root !== 'none')
    return { kind: 'install', what, commands: aptCommands(packages, root === 'sudo') }
  const sudo = root === 'root' ? '' : 'sudo '
  return { kind: 'tell', message: `missing: ${what}; run: ${sudo}${INSTALL[packageManager]} ${packages.join(' ')}` }
}

function aptCommands(packages: readonly string[], bySudo: boolean): string[][] {
  const asRoot = (...command: string[]): string[] => [...(bySudo ? ['sudo', '-n'] : []), ...PUBLIC_UMASK, ...command]
  // Slim images leave the manual's folders out, and Java's package fails when it links its pages there.
  const manual = asRoot('mkdir', '-p', '/usr/share/man/man1')
  // RUNLEVEL=1: a package starts no service while it is installed.
  const environment = ['env', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1']
  const install = ['install', '-y', '-qq', '--no-install-recommends', ...packages]
  return [manual, asRoot(...environment, 'apt-get', ...DPKG_LOCK, ...install)]
}

/** Debian's package lists, which slim images lack. */
export const updateCommand = (bySudo: boolean): string[] => [
  ...(bySudo ? ['sudo', '-n'] : []),
  ...PUBLIC_UMASK,
  ...['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...DPKG_LOCK, 'update', '-qq'],
]
