// What is done or said on a machine, by a table.
import { describe, expect, test } from 'vitest'
import { type Machine, planInstall } from './install-plan.ts'

const all = ['java', 'maven', 'openssl', 'redis'] as const
const bookworm = (name: string): boolean => !/openjdk-(21|25)/.test(name)
const trixie = (name: string): boolean => !/openjdk-17/.test(name)
const nothing = (): boolean => false

const machine = (packageManager: Machine['packageManager'], root: Machine['root'], offers = bookworm): Machine => ({
  packageManager,
  root,
  offers,
})

describe('what a machine lacks', () => {
  test('nothing is done where nothing is missing', () => {
    expect(planInstall([], machine(null, 'none'))).toEqual({ kind: 'nothing' })
  })

  test.each([
    ['Debian 12 as root', machine('apt-get', 'root'), 'openjdk-17-jre-headless', ''],
    ['Debian 12 with sudo', machine('apt-get', 'sudo'), 'openjdk-17-jre-headless', 'sudo -n '],
    ['Debian 13 as root', machine('apt-get', 'root', trixie), 'openjdk-21-jre-headless', ''],
    ['lists that know nothing', machine('apt-get', 'root', nothing), 'openjdk-17-jre-headless', ''],
  ])('is installed on %s, after the folder of manual pages that slim images lack', (_, facts, java, prefix) => {
    const plan = planInstall(all, facts)
    if (plan.kind !== 'install') throw new Error(`expected an installation, not ${JSON.stringify(plan)}`)
    const [manual, install] = plan.commands.map((command) => command.join(' '))
    expect(manual).toBe(`${prefix}sh -c umask 022; exec "$@" sh mkdir -p /usr/share/man/man1`)
    expect(install.startsWith(`${prefix}sh -c umask 022`)).toBe(true)
    expect(install.endsWith(`--no-install-recommends ${java} maven openssl redis-server`)).toBe(true)
    expect(plan.what).toBe('Java 17 or later, Maven, openssl, redis-server')
  })

  test.each([
    [
      'Debian without root',
      machine('apt-get', 'none'),
      'sudo apt-get install -y --no-install-recommends openjdk-17-jre-headless redis-server',
    ],
    ['Fedora', machine('dnf', 'none'), 'sudo dnf install -y java-21-openjdk-headless redis'],
    ['Fedora as root', machine('dnf', 'root'), 'dnf install -y java-21-openjdk-headless redis'],
    ['Alpine as root', machine('apk', 'root'), 'apk add openjdk21-jre-headless redis'],
    ['Alpine with sudo', machine('apk', 'sudo'), 'sudo apk add openjdk21-jre-headless redis'],
  ])('is told in one line on %s', (_, facts, command) => {
    const plan = planInstall(['java', 'redis'], {
      ...facts,
      offers: facts.packageManager === 'apt-get' ? facts.offers : nothing,
    })
    expect(plan).toEqual({ kind: 'tell', message: `missing: Java 17 or later, redis-server; run: ${command}` })
  })

  test('is told by name where no package manager is known', () => {
    const plan = planInstall(['maven'], machine(null, 'root'))
    expect(plan).toMatchObject({ kind: 'tell', message: expect.stringMatching(/^missing: Maven; install/) as string })
  })
})
