// The report of a load-burst run: JSON with every sample, one HTML page that needs nothing else, and a PNG of the rates.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { reportText } from '../../audit/core/report.ts'
import type { OrderAccount } from './order-account.ts'
import { drawPlots, toPng } from './plots.ts'
import type { BurstReport } from './run.ts'

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;color:#1f2937}
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left}pre{background:#f3f4f6;padding:1rem;overflow:auto}
svg{max-width:100%;height:auto;margin:.8rem 0}`

/** Writes the files; returns their paths, the page first. */
export function writeReport(report: BurstReport, folder: string): string[] {
  mkdirSync(folder, { recursive: true })
  const plots = drawPlots(report.samples, report.recoveries)
  const files = {
    'load-burst.html': page(report, plots),
    'load-burst.json': `${JSON.stringify(report, null, 1)}\n`,
    'load-burst.png': toPng(plots[0]),
  }
  return Object.entries(files).map(([name, content]) => {
    const path = join(folder, name)
    writeFileSync(path, content)
    return path
  })
}

/** For a terminal, and on the page. */
export function summaryRows(report: BurstReport): [string, string][] {
  const { machine, options, peak } = report
  return [
    ['machine', `${machine.cores} × ${machine.model}, ${machine.memory_gb} GB, Node ${machine.node}`],
    ['offered', `${count(options.rate)}/s, ${count(report.burst_rate_per_s)}/s in bursts, for ${options.seconds} s`],
    ['readings', count(report.readings)],
    ['peak', `${count(peak.accepted_per_s)}/s accepted, ${count(peak.stored_per_s)}/s stored`],
    ['peak memory', `producers ${peak.rss_mb.producers}, refine ${peak.rss_mb.refine}, sinks ${peak.rss_mb.sinks} MB`],
    ...report.recoveries.map(({ kind, lengthMs, waitingMax, recoveredAfterS, breakerOpened }): [string, string] => [
      `${kind}, ${lengthMs / 1_000} s`,
      `at most ${count(waitingMax)} waited; ${recoveredAfterS === null ? 'not caught up' : `caught up ${recoveredAfterS.toFixed(1)} s after its end`}; breaker ${breakerOpened ? 'opened' : 'stayed closed'}`,
    ]),
    ['outages', `${report.outages} of the store, ${report.retries} retries`],
    ['order', orderText(report.order)],
    ['audit', report.audit.balanced ? 'balanced' : `NOT balanced: ${report.audit.problemCount} problems`],
  ]
}

const orderText = ({ readings, extents, fault, replicas, difference }: OrderAccount): string => {
  if (fault !== null) return `NOT gapless: ${fault}`
  const gapless = `gapless: ${count(readings)} readings in ${count(extents)} extents`
  if (replicas < 2) return gapless
  return `${gapless}; ${replicas} replicas ${difference === null ? 'are byte-identical' : `DIFFER: ${difference}`}`
}

const count = (value: number): string => value.toLocaleString('en')

function page(report: BurstReport, plots: readonly string[]): string {
  const rows = summaryRows(report).map(([name, value]) => `<tr><th>${escape(name)}</th><td>${escape(value)}</td></tr>`)
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Plumbline under bursts</title><style>${STYLE}</style></head><body>
<h1>Plumbline under bursts and brownouts</h1>
<table>${rows.join('\n')}</table>
<p>Shaded: the store is browned out.</p>
${plots.join('\n')}
<h2>Audit</h2>
<pre>${escape(reportText(report.audit))}</pre>
</body></html>
`
}

const escape = (text: string): string => text.replace(/[&<>"]/g, (char) => ESCAPES[char])
