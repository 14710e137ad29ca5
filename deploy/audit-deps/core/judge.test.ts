import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { judgeAdvisories, judgeLicences } from './judge.ts'

describe('known vulnerabilities', () => {
  it('are none where the report lists none', () => {
    expect(judgeAdvisories('{"auditReportVersion":2,"vulnerabilities":{}}').code).toBe(0)
  })

  it('are listed by package, severity and range', () => {
    const found = { lodash: { name: 'lodash', severity: 'high', range: '<4.17.21' } }
    const verdict = judgeAdvisories(JSON.stringify({ vulnerabilities: found }))
    expect(verdict).toMatchObject({ code: 1, lines: [expect.any(String), 'high: lodash <4.17.21'] })
  })

  it.each([
    ['a registry without the endpoint', '{"message":"405 Method Not Allowed","statusCode":405,"error":{}}'],
    ['an npm that could not connect', '{"error":{"code":"ENOTFOUND"}}'],
    ['no output', ''],
    ['output that is no report', 'null'],
  ])('are NOT CHECKED by %s, which is no "none"', (_what, answer) => {
    const verdict = judgeAdvisories(answer)
    expect(verdict.code).toBe(2)
    expect(verdict.lines[0]).toContain('NOT CHECKED')
  })
})

describe('licences', () => {
  const lock = (license?: string, dev?: boolean): string =>
    JSON.stringify({ packages: { '': { license: 'Apache-2.0' }, 'node_modules/a': { license, dev } } })

  it('of what ships with this project are permissive', () => {
    const own = readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8')
    expect(judgeLicences(own)).toMatchObject({
      code: 0,
      lines: [expect.stringMatching(/^licences of \d{2,} packages/)],
    })
  })

  it.each(['GPL-3.0', 'SEE LICENSE IN x', undefined])('such as %s are named', (license) => {
    expect(judgeLicences(lock(license))).toMatchObject({
      code: 1,
      lines: [expect.any(String), expect.stringContaining('node_modules/a')],
    })
  })

  it('of what is only for development are nobody else’s matter', () => {
    expect(judgeLicences(lock('GPL-3.0', true)).code).toBe(0)
  })
})
