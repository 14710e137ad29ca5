// A replica as a simulated process: the real one, in a folder of its own. A life resumes from the previous one's
// checkpoint, or starts over. When it is killed its files stay as they are, and one may end in a torn line, as an
// interrupted write leaves it.
import { appendFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { prepareFolder, rowFiles } from '../../sinks/replica/folder.ts'
import { ReplicaMetrics } from '../../sinks/replica/replica-metrics.ts'
import { Replica } from '../../sinks/replica/replica.ts'
import { closeFilesBelow } from '../open-files.ts'
import { chance, pick, type Random } from '../random.ts'
import type { ServiceOptions } from './options.ts'

/** Share of lives that start over. */
const FRESH = 0.2
const TORN = 0.5
const TORN_LINE = '999999,2026-01-01T00:0'

export interface ReplicaOptions extends ServiceOptions {
  readonly dir: string
}

export async function runReplicaService(options: ReplicaOptions): Promise<void> {
  const { kafka, life, random, log, registry, signal, dir } = options
  const state = prepareFolder(dir, life.name, !chance(random, FRESH))
  let isDone = false
  life.onDeath(() => {
    if (isDone) return
    closeFilesBelow(dir)
    tear(dir, random)
  })
  const replica = new Replica({
    kafka,
    clock: life.clock,
    random,
    log,
    fetchSchema: (id) => life.call(() => registry.fetchSchema(id)),
    metrics: new ReplicaMetrics(new Registry()),
    dir,
    state,
  })
  try {
    await replica.run(signal)
  } finally {
    isDone = true
  }
}

function tear(dir: string, random: Random): void {
  const files = existsSync(dir) ? rowFiles(dir).sort() : []
  if (files.length > 0 && chance(random, TORN)) appendFileSync(join(dir, pick(random, files)), TORN_LINE)
}
