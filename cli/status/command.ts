// `plumbline status`: the panel of the running instance, once.
import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import { loadConfig } from '../../platform/config.ts'
import { type PanelState, renderPanel } from '../../deploy/stack/core/panel.ts'
import { type Instance, readInstance } from '../../deploy/stack/instance.ts'
import { Monitor } from '../../deploy/stack/monitor.ts'
import { paintFor } from '../../deploy/stack/watch.ts'
import { CommandError } from '../core/errors.ts'

/** Rates need two readings of the counters; a second apart is an acceptable wait. */
const RATE_MS = 1_500

const EXAMPLES = `
Examples:
  plumbline status             the panel, once
  plumbline status --json      the same as data, for scripts: plumbline status --json | jq .counts`

export function statusCommand(env: Readonly<Record<string, string>>): Command {
  return new Command('status')
    .description('show rates, lag, latencies and counts of the running instance once')
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLES)
    .action((options: { json?: boolean }) => status(env, options.json ?? false))
}

async function status(env: Readonly<Record<string, string>>, asJson: boolean): Promise<void> {
  const instance = readInstance(env.DATA_DIR)
  if (instance === null)
    throw new CommandError('NOT_RUNNING', `nothing runs on ${env.DATA_DIR}: start it by "plumbline up"`)
  const state = await observeTwice(instance, loadConfig(env).API_TOKEN)
  const { view, uptimeMs, restarts, troubles } = state
  process.stdout.write(
    asJson
      ? `${JSON.stringify({ uptime_ms: uptimeMs, restarts, troubles, ...view }, null, 2)}\n`
      : `${renderPanel(state, paintFor(process.stdout))}\n`,
  )
}

async function observeTwice(instance: Instance, token: string | undefined): Promise<PanelState> {
  const monitor = new Monitor(token)
  const running = instance.services.filter(({ pid }) => pid > 0)
  await monitor.observe(running)
  await delay(RATE_MS)
  const { view, troubles } = await monitor.observe(running)
  const away = instance.services.filter(({ pid }) => pid === 0).map(({ name }) => `${name} is being started again`)
  return {
    view,
    uptimeMs: Date.now() - instance.startedMs,
    restarts: instance.services.reduce((all, service) => all + service.restarts, 0),
    troubles: [...away, ...troubles],
    links: [],
    hint: `process ${instance.pid}`,
  }
}
