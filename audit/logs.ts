// The write-ahead logs of this machine, as an audit reads them: without their locks, while producers run.
import { join } from 'node:path'
import { WalError } from '../platform/wal/format.ts'
import { listWals } from '../platform/wal/directory.ts'
import { readWalSummary, type WalSummary } from '../platform/wal/reader.ts'
import type { Findings } from './core/findings.ts'
import { homeOf, keyOfText } from './core/records.ts'
import type { WalAccount, WalLane } from './core/sent.ts'

export interface Logs {
  readonly accounts: readonly WalAccount[]
  readonly lanes: readonly WalLane[]
}

export function readLogs(dataDir: string, findings: Findings): Logs {
  const accounts: WalAccount[] = []
  const lanes: WalLane[] = []
  for (const { kind, name, dir } of listWals(dataDir)) {
    const summary = summaryOf(dir, join(kind, name), findings)
    if (summary === null) continue
    const { appendedIndex, acknowledgedIndex } = summary
    if (summary.tail === 'corrupt')
      findings.problem(
        'LOG_CORRUPT',
        `the log in ${join(kind, name)} is damaged before the end of what it had forced to disk`,
      )
    const log: WalAccount = {
      name: `${kind}/${name}`,
      accepted: appendedIndex,
      waiting: appendedIndex - acknowledgedIndex,
      missing: 0,
      held: 0,
      missingNames: [],
    }
    accounts.push(log)
    for (const [key, lastSeq] of summary.accepted)
      lanes.push({ log, key: keyOfText(key), epoch: summary.epoch, own: true, count: lastSeq + 1, lastSeq })
    for (const { key, epoch, own, count, lastSeq } of summary.foreign)
      lanes.push({ log, key: keyOfText(key), epoch, own, count, lastSeq })
  }
  return { accounts, lanes }
}

/** Lanes by the raw partition that their key maps to. */
export function lanesByPartition(lanes: readonly WalLane[], partitions: number): ReadonlyMap<number, WalLane[]> {
  const byPartition = new Map<number, WalLane[]>()
  for (const lane of lanes) {
    const partition = homeOf(lane.key, partitions)
    const list = byPartition.get(partition) ?? []
    byPartition.set(partition, list)
    list.push(lane)
  }
  return byPartition
}

function summaryOf(dir: string, name: string, findings: Findings): WalSummary | null {
  try {
    return readWalSummary(dir)
  } catch (error) {
    if (!(error instanceof WalError)) throw error
    findings.problem('LOG_CORRUPT', `the log in ${name} cannot be read: ${error.message}`)
    return null
  }
}
