// The health check of the containers: `main.ts PORT` queries the container's own /readyz, with the token; exits with 0
// if it is ready. It runs every few seconds in every container, so it loads nothing that it does not need.
import { readFileSync } from 'node:fs'
import { get } from 'node:http'

const TIMEOUT_MS = 4_000

const file = process.env.API_TOKEN_FILE
const token = file === undefined ? process.env.API_TOKEN : readFileSync(file, 'utf8').trim()
const fail = (why: string): never => {
  process.stderr.write(`${why}\n`)
  process.exit(1)
}

get(
  {
    host: '127.0.0.1',
    port: Number(process.argv[2]),
    path: '/readyz',
    timeout: TIMEOUT_MS,
    headers: token ? { authorization: `Bearer ${token}` } : {},
  },
  (response) => {
    let body = ''
    response.setEncoding('utf8')
    response.on('data', (text: string) => (body += text))
    response.on('end', () => (response.statusCode === 200 ? process.exit(0) : fail(body)))
  },
)
  .on('timeout', () => fail(`no answer within ${TIMEOUT_MS} ms`))
  .on('error', (error) => fail(error.message))
