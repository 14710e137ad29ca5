// `plumbline audit`: proves that every record is accounted for, or names what is missing. Exit code 1 then.
import { Command } from 'commander'
import { loadConfig } from '../../platform/config.ts'
import { connectKafka } from '../../platform/kafka/kafkajs/client.ts'
import { parseDuration } from '../../platform/duration.ts'
import { createLog } from '../../platform/log.ts'
import { audit } from '../../audit/audit.ts'
import { untilSettled } from '../../audit/settle.ts'
import { type AuditReport, reportText } from '../../audit/core/report.ts'
import { escapeControls } from '../core/decode.ts'
import { Progress } from '../progress.ts'

const WAIT_MAX_MS = 3_600_000

/** The command `audit`. @param env the environment, read by the command line's main */
export function auditCommand(env: Readonly<Record<string, string | undefined>> = process.env): Command {
  return new Command('audit')
    .description('prove that every record is accounted for, or name what is missing (exit code 1)')
    .option('--wait <duration>', 'wait until nothing is in flight, at most this long: 500ms, 30s, 2m', (text: string) =>
      parseDuration(text, '--wait', WAIT_MAX_MS),
    )
    .option(
      '--deep',
      'read again what differs in the store, and name the reading, its time and the cell, or the anomaly and its field',
    )
    .option('--json', 'print the report as JSON: balanced, table, gaps, problems, notes')
    .addHelpText(
      'after',
      `
Compares what write-ahead logs under DATA_DIR accepted, telemetry.raw, telemetry.clean, telemetry.late, the anomalies, the
dead letters, the extents, the total order and the store: every reading by its identity, its bytes and its values. It
changes nothing, and may run while the pipeline does. Missing sequence numbers are
named as gaps and are no problem by themselves. Exit code 0: balanced; 1: something is not accounted for, or could not be
compared.

Examples:
  plumbline audit
  plumbline audit --wait 30s --json
  plumbline audit --deep`,
    )
    .action(async ({ wait, json, deep = false }: { wait?: number; json?: true; deep?: boolean }) => {
      const report = await run(env, wait, deep)
      process.stdout.write(escapeControls(json === true ? `${JSON.stringify(report)}\n` : reportText(report)))
      if (!report.balanced) process.exitCode = 1
    })
}

async function run(
  env: Readonly<Record<string, string | undefined>>,
  waitMs: number | undefined,
  deep: boolean,
): Promise<AuditReport> {
  const config = loadConfig(env)
  const kafka = connectKafka(config, createLog('audit', 'error'))
  const display = new Progress('audit', 'records read')
  const moving = waitMs === undefined ? null : await untilSettled(config, kafka, waitMs)
  const report = await audit(config, kafka, { onRecords: (count) => display.add(count), deep })
  return moving === null ? report : { ...report, notes: [...report.notes, `still in flight after the wait: ${moving}`] }
}
