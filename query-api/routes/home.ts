// GET / and GET /status: a page that lists what can be asked, with links to real sensors and sites, above live counters
// of the store. No foreign assets; the one script and style are ours and named by hash to the browser, and every text
// from the store is escaped.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { RequestHandler } from 'express'
import type { SensorSummary } from '../../platform/store/port.ts'
import { type Params, parseParams } from '../core/params.ts'
import { answer, type Surroundings } from './answer.ts'
import { READING_TOPICS } from './sensors.ts'

const EXAMPLES = 3
const read = (name: string): string => readFileSync(new URL(`../web/${name}`, import.meta.url), 'utf8')
const STYLE = read('home.css')
const SCRIPT = read('home.js')
const PAGE = read('home.html')

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
const POLICY = [
  "default-src 'none'",
  `style-src ${hashOf(STYLE)}`,
  `script-src ${hashOf(SCRIPT)}`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Counters for displays, without a look at the rows. */
export const statusRoute = (surroundings: Surroundings): RequestHandler =>
  answer<Params<'status'>>(surroundings, {
    name: '/status',
    topics: READING_TOPICS,
    parse: (request) => parseParams('status', request.query),
    find: async (view) => ({ body: { ...(await view.totals()) }, seqs: { present: 0, expected: 0 } }),
  })

export const homeRoute =
  ({ store }: Surroundings): RequestHandler =>
  async (_request, response) => {
    // The page is of use while there is no store yet: then without examples.
    const sensors = await store.read((view) => view.sensors({ limit: EXAMPLES })).catch(() => [])
    response.set({
      'Content-Security-Policy': POLICY,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
    })
    response.type('html').send(renderHome(sensors))
  }

export function renderHome(sensors: readonly SensorSummary[]): string {
  const parts: Readonly<Record<string, string>> = {
    STYLE: `<style>${STYLE}</style>`,
    SCRIPT: `<script>${SCRIPT}</script>`,
    EXAMPLES: examples(sensors).join('\n'),
  }
  return PAGE.replace(/<!-- (\w+) -->/g, (_all, name: string) => parts[name])
}

function examples(sensors: readonly SensorSummary[]): string[] {
  const sites = [...new Set(sensors.map((sensor) => sensor.site))]
  const links = [
    '/sensors?limit=20',
    ...sensors.map(
      ({ tenant, sensor }) =>
        `/sensors/${encodeURIComponent(sensor)}/recent?limit=10&tenant=${encodeURIComponent(tenant)}`,
    ),
    ...sites.map((site) => `/sites/${encodeURIComponent(site)}/agg?window=1m`),
    '/anomalies?limit=20',
  ]
  return links.map((link) => `<li><a href="${escapeHtml(link)}">${escapeHtml(link)}</a></li>`)
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character])
