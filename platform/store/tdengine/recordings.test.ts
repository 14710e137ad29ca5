// The adapter against what a real server said (testdata/README.md): the same requests are sent to an HTTP server that
// checks them and gives the recorded answers back.
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { check } from '../../../test/fixtures/property.ts'
import fc from 'fast-check'
import { StoreError } from '../../errors.ts'
import { StoreOutageError, StorePoisonError } from '../store-errors.ts'
import { TdengineError } from './errors.ts'
import {
  decodeText,
  encodeText,
  insertStatements,
  integerLiteral,
  numberLiteral,
  STATEMENT_BYTES_MAX,
  textLiteral,
  timeOf,
} from './sql.ts'
import { parseAnswer, RestTransport } from './transport.ts'

interface Exchange {
  readonly name: string
  readonly auth: string
  readonly sql: string
  readonly status: number
  readonly body: string
}

const recorded = readFileSync(new URL('testdata/tdengine.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Exchange)
const exchange = (name: string): Exchange => recorded.find((one) => one.name === name)!

/** What the adapter makes of a recorded answer. */
function outcomeOf({ status, body }: Exchange): unknown {
  try {
    return parseAnswer(status, body)
  } catch (error) {
    return error
  }
}

describe('the REST transport', () => {
  let current: Exchange
  let received: { method: unknown; url: unknown; authorization: unknown; sql: string }
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method, url, headers } = request
      received = { method, url, authorization: headers.authorization, sql: Buffer.concat(chunks).toString('utf8') }
      response.writeHead(current.status, { 'content-type': 'application/json; charset=utf-8' }).end(current.body)
    })
  })
  let transport: RestTransport
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    transport = new RestTransport({ origin, username: 'root', password: 'taosdata' })
  })
  afterAll(async () => {
    await transport.close()
    await new Promise((resolve) => server.close(resolve))
  })

  it('EM-4: sends what was recorded and reads every recorded answer, by its code and whatever its HTTP status', async () => {
    const sent = recorded.filter(({ auth }) => auth === 'Basic root')
    expect(sent.length).toBeGreaterThan(250)
    for (current of sent) {
      const outcome = await transport.query(current.sql).catch((error: unknown) => error)
      const authorization = `Basic ${Buffer.from('root:taosdata').toString('base64')}`
      expect(received, current.name).toEqual({ method: 'POST', url: '/rest/sql', authorization, sql: current.sql })
      const { code, data } = current.body.startsWith('{') ? JSON.parse(current.body) : { code: null, data: null }
      if (code === 0) expect(outcome, current.name).toEqual(data)
      else expect(outcome, current.name).toBeInstanceOf(StoreError)
    }
  })

  it('EM-5: a server that is not there, and an answer that does not come in time, are outages', async () => {
    const nowhere = new RestTransport({ origin: 'http://127.0.0.1:1', username: 'root', password: 'x' })
    const refused = await nowhere.query('select 1').catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(StoreOutageError)
    expect(refused).toMatchObject({ code: 'STORE_UNAVAILABLE', retriable: true })
    await nowhere.close()
    const aborted = await transport.query('select 1', AbortSignal.abort()).catch((error: unknown) => error)
    expect(aborted).toBeInstanceOf(StoreOutageError)
    expect(aborted).toMatchObject({ code: 'STORE_TIMEOUT' })
  })
})

describe('what an answer means', () => {
  it('EM-5: a stopped server is an outage, even where it speaks of a wrong password', () => {
    const names = ['down_select', 'down_insert', 'down_create_table', 'hc_down_select', 'hc_down_insert']
    for (const name of [...names, 'down_bad_password', 'adapter_started_without_taosd_select'])
      expect(outcomeOf(exchange(name)), name).toBeInstanceOf(StoreOutageError)
  })

  it('X-3: bad values, texts that are too long and times outside KEEP are poison', () => {
    const names = [
      'double_nan',
      'double_inf_quoted',
      'double_overflow_1e999',
      'insert_type_mismatch',
      'bigint_max_plus1',
    ]
    names.push('insert_nchar_too_long', 'tag_too_long', 'ts_epoch_0', 'ts_year_9999', 'partial_out_of_keep_last_row')
    names.push('ts_bad_string', 'hc_ts_out_of_keep', 'hc_insert_syntax', 'partial_bad_value')
    for (const name of names) expect(outcomeOf(exchange(name)), name).toBeInstanceOf(StorePoisonError)
  })

  it('X-3: a statement that is malformed is never taken for poison: it would put every row aside', () => {
    const names = ['insert_column_count_mismatch', 'insert_zero_rows', 'insert_old_column_count_after_alter']
    names.push('double_underscore', 'syntax_error', 'exact_size_1048577', 'insert_column_not_exist', 'comment_only')
    for (const name of names) {
      const outcome = outcomeOf(exchange(name))
      expect(outcome, name).toMatchObject({ code: 'STORE_FAILED', retriable: false })
      expect(outcome, name).not.toBeInstanceOf(StorePoisonError)
    }
  })

  it('a missing database or table says that the store is not ready, a wrong password where to look', () => {
    const missing = [
      'table_not_exist',
      'db_not_exist',
      'insert_db_not_exist',
      'stable_not_exist_using',
      'no_db_selected',
    ]
    for (const name of missing)
      expect(outcomeOf(exchange(name)), name).toMatchObject({ code: 'STORE_NOT_READY', retriable: true })
    for (const name of ['bad_password', 'unknown_user', 'no_auth', 'malformed_basic', 'hc_bad_password']) {
      expect(outcomeOf(exchange(name)), name).toMatchObject({ code: 'STORE_CREDENTIALS' })
      expect(String(outcomeOf(exchange(name)))).toContain('TDENGINE_PASSWORD')
    }
    expect(outcomeOf(exchange('alter_add_column_again'))).toBeInstanceOf(TdengineError)
    expect(outcomeOf(exchange('alter_add_column_again'))).toMatchObject({ serverCode: 875 })
  })

  it('an empty body, and anything that is not an answer of taosAdapter, is an error and no empty result', () => {
    expect(outcomeOf(exchange('nan_via_influx_select_raw'))).toMatchObject({ code: 'STORE_FAILED' })
    for (const body of ['', 'null', '[]', '<html>', '{"code":"0"}'])
      expect(() => parseAnswer(200, body)).toThrow(StoreError)
    expect(() => parseAnswer(502, '<html>bad gateway</html>')).toThrow(StoreOutageError)
  })

  it('timestamps come back as the milliseconds they were', () => {
    const rows = outcomeOf(exchange('ts_read_back')) as [number, string][]
    expect(rows.length).toBeGreaterThan(5)
    for (const [ms, text] of rows) expect(timeOf(text)).toBe(ms)
  })
})

describe('the text of statements', () => {
  const readings = (table: string, tags: readonly string[], columns: string, rows: readonly string[]) => ({
    superTable: 'probe.readings',
    table,
    tags: tags.map((text) => textLiteral(text)),
    columns: columns.split(','),
    rows,
  })
  const A_DAY = 1_795_132_800_000

  it('EM-4: INSERT has the very form that the server took', () => {
    const site = ['site-1', 'ten-1']
    expect(
      insertStatements([readings('s_a', ['A', ...site], 'ts,power_w,seq', [`(${A_DAY + 4_000},105.25,5)`])]),
    ).toEqual([exchange('insert_named_columns').sql])
    const two = [
      readings('sc_2', ['SC2', ...site], 'ts,power_w', [`(${A_DAY},1)`]),
      readings('sc_3', ['SC3', ...site], 'ts,voltage_v,seq', [`(${A_DAY},230,2)`]),
    ]
    expect(insertStatements(two)).toEqual([exchange('insert_different_columns_per_table').sql])
  })

  it('texts: quotes doubled as the server took them; nothing that it escapes, refuses or ends a text with is left', () => {
    expect(exchange('tag_with_quote').sql).toContain(textLiteral("it's"))
    expect(exchange('string_emoji').sql).toContain(textLiteral('⚡️😀'))
    check(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string({ unit: fc.constantFrom(...`'"\\%\0\n\`2;0\u007f\u0080\u009f`) }),
        ),
        (text) => {
          const literal = textLiteral(text)
          expect(literal).toMatch(/^'(?:[^'\\\p{Cc}]|'')+'$/u)
          expect(decodeText(literal.slice(1, -1).replaceAll("''", "'"))).toBe(text)
        },
      ),
      1_000,
    )
    expect(encodeText('Zähler-7 温度 a_b')).toBe('Zähler-7 温度 a_b')
  })

  it('numbers: in the form that the server took, and nothing that it refuses', () => {
    for (const [name, value] of [
      ['double_max_double', Number.MAX_VALUE],
      ['double_pi17', Math.PI],
      ['double_p1p2', 0.1 + 0.2],
    ] as const)
      expect(exchange(name).sql).toContain(`,${numberLiteral(value, 'power_w')})`)
    expect([null, -5e-324, 1e21, -1e-7].map((value) => numberLiteral(value, 'power_w'))).toEqual([
      'NULL',
      '0',
      '1e21',
      '-1e-7',
    ])
    for (const value of [NaN, Infinity, -Infinity]) expect(() => numberLiteral(value, 'power_w')).toThrow(/power_w/)
    expect(() => integerLiteral(2 ** 53, 'seq')).toThrow(StorePoisonError)
    expect(() => integerLiteral(0.5, 'ts')).toThrow(StorePoisonError)
  })

  it('stays below the length that the server refused, keeps every row once and in order', () => {
    const row = (i: number): string => `(${A_DAY + i},${i},'${'ü'.repeat(i % 300)}')`
    check(
      fc.property(fc.array(fc.nat(4_000), { maxLength: 6 }), (counts) => {
        const tables = counts.map((count, t) =>
          readings(
            `t${t}`,
            ['x'.repeat(200), 's', 't'],
            'ts,seq,site_id',
            Array.from({ length: count }, (_, i) => row(i)),
          ),
        )
        const statements = insertStatements(tables)
        for (const sql of statements) expect(Buffer.byteLength(sql)).toBeLessThanOrEqual(STATEMENT_BYTES_MAX)
        const found = statements.flatMap((sql) => sql.match(/\(\d{13},\d+,'ü*'\)/g) ?? [])
        expect(found).toEqual(tables.flatMap(({ rows }) => rows))
        for (const sql of statements)
          expect(sql).toMatch(
            /^INSERT INTO( probe\.`t\d` USING probe\.readings TAGS \([^()]*\) \(ts,seq,site_id\) VALUES (\([^()]*\))+)+$/,
          )
      }),
      30,
    )
    expect(() => insertStatements([readings('t', [], 'ts', [`('${'x'.repeat(STATEMENT_BYTES_MAX)}')`])])).toThrow(
      StorePoisonError,
    )
  })
})
