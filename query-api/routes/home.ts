// GET / and GET /status: a page that lists what can be asked, made of the list of routes, with links to real sensors and
// sites, above live counters of the store. No foreign assets; the one script and style are ours and named by hash to
// the browser, and every text is escaped.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { RequestHandler } from 'express'
import { parseParams } from '../core/params.ts'
import type { StoreReader } from '../reads/store-reader.ts'
import { type Route, route } from './route.ts'
import { answerFromStore, type StoreRouteOptions } from './store-route.ts'

const EXAMPLES = 3
/** The page is of use without examples: it does not wait long for them. */
const EXAMPLES_MS = 2_000
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
export const statusRoutes = (options: StoreRouteOptions): Route[] => [
  route(
    'GET',
    '/status',
    'the counters above',
    'status',
    answerFromStore(options, '/status', 'totals', ({ query }) => parseParams('status', query)),
  ),
]

interface Sensor {
  readonly tenant: string
  readonly sensor: string
  readonly site: string
}

/** @param routes that the page lists */
export function homeRoute(reader: StoreReader, routes: readonly Route[]): Route {
  const handler: RequestHandler = async ({ query }, response) => {
    parseParams('none', query)
    response.set({
      'Content-Security-Policy': POLICY,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
    })
    response.type('html').send(renderHome(await someSensors(reader), routes))
  }
  return route('GET', '/', 'this page', 'none', handler)
}

/** None while there is no store yet. */
async function someSensors(reader: StoreReader): Promise<readonly Sensor[]> {
  try {
    const found = await reader.read('sensors', { limit: EXAMPLES }, AbortSignal.timeout(EXAMPLES_MS))
    return found.kind === 'found' ? (found.body.sensors as readonly Sensor[]) : []
  } catch {
    return []
  }
}

function renderHome(sensors: readonly Sensor[], routes: readonly Route[]): string {
  const parts: Readonly<Record<string, string>> = {
    STYLE: `<style>${STYLE}</style>`,
    SCRIPT: `<script>${SCRIPT}</script>`,
    EXAMPLES: examples(sensors).join('\n'),
    ROUTES: routes.map(rowOf).join('\n'),
  }
  return PAGE.replace(/<!-- (\w+) -->/g, (_all, name: string) => parts[name])
}

function rowOf({ method, path, summary, params }: Route): string {
  const shown = escapeHtml(`${method} ${path}`)
  const isLink = method === 'GET' && !path.includes('{') && params.every(({ required }) => !required)
  const listed = params.map(({ name, description }) => `<li><code>${name}</code> ${escapeHtml(description)}</li>`)
  return `<tr><td>${isLink ? `<a href="${escapeHtml(path)}">${shown}</a>` : shown}</td>
    <td>${escapeHtml(summary)}${listed.length === 0 ? '' : `<ul>${listed.join('')}</ul>`}</td></tr>`
}

function examples(sensors: readonly Sensor[]): string[] {
  const sites = new Map(sensors.map(({ site, tenant }) => [`${tenant}\0${site}`, { site, tenant }]))
  const links = [
    '/sensors?limit=20',
    ...sensors.map(({ tenant, sensor }) =>
      sensor === '.' || sensor === '..'
        ? `/sensors/recent?id=${sensor}&tenant=${encodeURIComponent(tenant)}&limit=10`
        : `/sensors/${encodeURIComponent(sensor)}/recent?limit=10&tenant=${encodeURIComponent(tenant)}`,
    ),
    ...[...sites.values()].map(
      ({ site, tenant }) =>
        `/sites/agg?site=${encodeURIComponent(site)}&tenant=${encodeURIComponent(tenant)}&window=1m`,
    ),
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
