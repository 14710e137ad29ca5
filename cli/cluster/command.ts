// `plumbline cluster`: the cluster's members, as published by its leader: once, continuously, or what the
// last views changed.
import { Command, Option } from 'commander'
import { InputError, messageOf, PlumblineError } from '../../platform/errors.ts'
import { whole } from '../arguments.ts'
import { type ClusterAnswer, renderChange, renderCluster, renderViews, type ViewAnswer } from './core/report.ts'
import { askQueryApi } from '../query-api.ts'
import { pause } from '../../platform/retry.ts'

const WATCH_MS = 1_000
/** While the broker is down the last known view is shown, with its age. */
const CLUSTER = '/cluster?max_staleness=365d'
const VIEWS_MAX = 100
const CLEAR = '\u001b[H\u001b[J'

const EXAMPLES = `
Examples:
  plumbline cluster                 members in their order, with heartbeats and applied configuration
  plumbline cluster --watch         the same, kept up to date; into a file or pipe: a line for every new view
  plumbline cluster --views 20      what the last 20 views changed
  plumbline cluster --json | jq -r '.view.members[] | select(.heartbeat.degraded) | .node_id'`

type Env = Readonly<Record<string, string>>

interface ClusterOptions {
  readonly watch?: true
  readonly views?: number
  readonly json?: true
}

export function clusterCommand(env: Env): Command {
  return new Command('cluster')
    .description('show the members of the cluster and its leader, or what earlier views changed')
    .option('-w, --watch', 'continue until Ctrl-C')
    .addOption(new Option('--views <n>', 'list the last n views instead').argParser(whole(1, VIEWS_MAX)))
    .option('--json', 'print JSON; with --watch one object a line for every new view')
    .addHelpText('after', EXAMPLES)
    .action((options: ClusterOptions) => cluster(env, options))
}

async function cluster(env: Env, { watch, views, json }: ClusterOptions): Promise<void> {
  if (watch && views !== undefined)
    throw new InputError('OPTIONS', 'watch', '--watch and --views do not go together: give one of them')
  if (watch) return watchCluster(env, json ?? false)
  if (views !== undefined) return listViews(env, views, json ?? false)
  const answer = await askQueryApi<ClusterAnswer>(env, CLUSTER)
  print(json ? JSON.stringify(answer, null, 2) : renderCluster(answer))
}

async function listViews(env: Env, limit: number, json: boolean): Promise<void> {
  const { view } = await askQueryApi<ClusterAnswer>(env, CLUSTER)
  // One more than is shown, to tell what the oldest shown one changed.
  const path = `/cluster/views?max_staleness=365d&limit=${limit}`
  const { views: earlier } = await askQueryApi<{ views: ViewAnswer[] }>(env, path)
  const known = [...(view === null ? [] : [view]), ...earlier]
  if (json) return print(JSON.stringify(known.slice(0, limit), null, 2))
  print(known.length === 0 ? 'no view has been published yet' : renderViews(known, limit))
}

async function watchCluster(env: Env, json: boolean): Promise<void> {
  const end = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => end.abort())
  const redraws = process.stdout.isTTY && !json
  let shown: ViewAnswer | null = null
  let trouble = ''
  while (!end.signal.aborted) {
    try {
      const answer = await askQueryApi<ClusterAnswer>(env, CLUSTER)
      if (redraws) print(`${CLEAR}${renderCluster(answer)}\n\nCtrl-C ends this`)
      else if (answer.view !== null && answer.view.view_id !== shown?.view_id)
        print(json ? JSON.stringify(answer) : renderChange(shown, answer.view))
      shown = answer.view ?? shown
      trouble = ''
    } catch (error) {
      if (!(error instanceof PlumblineError && error.retriable)) throw error
      // With --watch the user wants to see it come back.
      if (trouble !== messageOf(error)) process.stderr.write(`plumbline: ${messageOf(error)}\n`)
      trouble = messageOf(error)
    }
    await pause(WATCH_MS, end.signal)
  }
}

const print = (text: string): void => void process.stdout.write(`${text}\n`)
