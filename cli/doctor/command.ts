// `plumbline doctor`: looks at everything that must be right for Plumbline to run here, and says for each problem what to
// do next. It changes nothing, works without a broker, and what cannot be looked at is skipped with the reason.
import { Command } from 'commander'
import { readInstance } from '../../deploy/stack/instance.ts'
import { type Config, loadConfig } from '../../platform/config.ts'
import { messageOf } from '../../platform/errors.ts'
import { operatorMessage } from '../../platform/operator-error.ts'
import { describeStore, openStore, storeExists } from '../../platform/store/open.ts'
import { escapeControls } from '../core/decode.ts'
import {
  checkAnswers,
  checkStore,
  checkToken,
  checkVersions,
  doctorText,
  type Finding,
  type Found,
} from './core/checks.ts'
import { brokerFindings } from './broker.ts'
import { machineFindings } from './machine.ts'

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])
const REQUEST_MS = 5_000

type Env = Readonly<Record<string, string>>

export function doctorCommand(env: Env, version: string): Command {
  return new Command('doctor')
    .description('check everything that must be right here; each problem with its next step (exit code 1)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  plumbline doctor\n  plumbline doctor --json | jq \'.[] | select(.kind == "problem")\'',
    )
    .action(async ({ json }: { json?: true }) => {
      const findings = await examine(env, version)
      process.stdout.write(
        escapeControls(json === true ? `${JSON.stringify(findings, null, 2)}\n` : doctorText(findings)),
      )
      if (findings.some(({ kind }) => kind === 'problem')) process.exitCode = 1
    })
}

async function examine(env: Env, version: string): Promise<Finding[]> {
  const config = loadConfig(env)
  const instance = readInstance(config.DATA_DIR)
  return [
    checkVersions(process.versions.node, version),
    ...(await machineFindings(config, instance)),
    checkToken(config.LISTEN_HOST, LOOPBACK.has(config.LISTEN_HOST), config.API_TOKEN),
    checkAnswers('registry', config.REGISTRY_URL, await found(() => askRegistry(config))),
    checkStore(describeStore(config), await found(() => progressOf(config))),
    ...(await brokerFindings(config)),
  ]
}

export async function found<T>(look: () => Promise<T>): Promise<Found<T>> {
  try {
    return { ok: true, value: await look() }
  } catch (error) {
    return { ok: false, reason: operatorMessage(error) ?? messageOf(error) }
  }
}

async function askRegistry({ REGISTRY_URL: url, API_TOKEN: token }: Config): Promise<string> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const response = await fetch(`${url.replace(/\/+$/, '')}/subjects`, {
    headers,
    signal: AbortSignal.timeout(REQUEST_MS),
  }).catch((error: unknown) => {
    throw new Error(`does not answer: ${messageOf((error as Error).cause ?? error)}`)
  })
  if (!response.ok) throw new Error(`answers ${response.status}${response.status === 401 ? ': check API_TOKEN' : ''}`)
  return `${((await response.json()) as unknown[]).length} subjects`
}

async function progressOf(config: Config): Promise<number | null> {
  if (!(await storeExists(config))) return null
  const store = openStore(config, 'read')
  try {
    return (await store.read((view) => view.progress())).length
  } finally {
    await store.close()
  }
}
