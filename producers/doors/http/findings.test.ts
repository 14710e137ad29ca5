import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { decodeReadings } from '../../../platform/wal/wal.test-support.ts'
import { openDoor } from './doors.test-support.ts'

const NOW = Date.now()
const line = (fields: object = {}): string => JSON.stringify({ sensor_id: 'a', ts: NOW, power_w: 1.5, ...fields })
const JSON_TYPE = { 'content-type': 'application/json' }

describe('security 1: whatever is thrown, numbers go back and the answer says where to continue', () => {
  test.each([2 ** 52, 2 ** 53 - 2, 2 ** 53 - 1, 1e300, -1, 0.5])(
    'epoch or seq %d is refused by its line, the others go in',
    async (value) => {
      const { outbox, post } = await openDoor()
      for (const numbers of [
        { epoch: value, seq: 0 },
        { epoch: 5, seq: value },
      ]) {
        const answer = await post([line(), line(numbers), line()].join('\n'))
        expect(answer).toMatchObject({ status: 202, body: { accepted: 2, rejected: [{ line: 2 }], next_line: null } })
      }
      expect(decodeReadings(outbox.wal).map(({ seq }) => seq)).toEqual([0, 1, 2, 3])
    },
  )

  test('an error of ours leaves the lines before it in the log, and no number is lost', async () => {
    const { outbox, post } = await openDoor()
    const broken = vi.spyOn(outbox.wal, 'foreignLane').mockImplementation(() => {
      throw new TypeError('a defect')
    })
    const lines = [line(), line(), line({ epoch: 7, seq: 0 }), line()]
    const answer = await post(lines.join('\n'))
    expect(answer).toMatchObject({ status: 500, body: { accepted: 2, rejected_count: 0, next_line: 3 } })
    broken.mockRestore()
    expect(await post(lines.slice(2).join('\n'))).toMatchObject({ status: 202, body: { accepted: 2 } })
    expect(decodeReadings(outbox.wal).map(({ epoch, seq }) => (epoch === 7 ? 'theirs' : seq))).toEqual([
      0,
      1,
      'theirs',
      2,
    ])
  })

  test('a write that fails takes its numbers back', async () => {
    const { outbox, post } = await openDoor()
    vi.spyOn(outbox.wal, 'append').mockImplementationOnce(() => {
      throw new TypeError('a defect')
    })
    expect(await post([line(), line()].join('\n'))).toMatchObject({ status: 500, body: { accepted: 0, next_line: 1 } })
    expect(await post(line())).toMatchObject({ status: 202 })
    expect(decodeReadings(outbox.wal).map(({ seq }) => seq)).toEqual([0])
  })

  test('a full log says from which line on to send again, and the sum is exact', async () => {
    const { outbox, post } = await openDoor({ maxBytes: 65_536, bodyBytes: 1_048_576 })
    const lines = Array.from({ length: 2_000 }, () => line())
    const { status, body } = await post(lines.join('\n'))
    expect(status).toBe(503)
    expect(body.accepted).toBe(outbox.wal.appended)
    expect(body.next_line).toBe(outbox.wal.appended + 1)
  })
})

describe('security 3: one POST cannot hold up the process', () => {
  test('a reading with hundreds of thousands of names is refused before anything is built of it', async () => {
    const { post } = await openDoor({ bodyBytes: 16_777_216 })
    const many = Array.from({ length: 700_000 }, (_, i) => `"k${i}":"v"`).join(',')
    for (const body of [`{"sensor_id":"a","ts":${NOW},"power_w":1,"tags":{${many}}}`, `{${many}}`])
      expect(await post([body, line()].join('\n'))).toMatchObject({
        status: 202,
        body: { accepted: 1, rejected: [{ line: 1, code: 'TOO_LONG' }] },
      })
  })

  test('after 1,000 refused lines it gives up, keeps what was sound and says where', async () => {
    const { outbox, post } = await openDoor({ bodyBytes: 16_777_216 })
    const { status, body } = await post([line(), ...Array.from({ length: 250_000 }, () => '{}')].join('\n'))
    expect(status).toBe(422)
    expect(body).toMatchObject({ accepted: 1, rejected_count: 1_000, next_line: 1_002 })
    expect(outbox.wal.appended).toBe(1)
  })

  test('names from outside do not make the answer long', async () => {
    const { post } = await openDoor({ bodyBytes: 1_048_576 })
    const { body } = await post(line({ ['x'.repeat(500_000)]: 1 }))
    expect(JSON.stringify(body).length).toBeLessThan(2_000)
  })

  test('deeply nested brackets are refused, not followed', async () => {
    const { post } = await openDoor({ bodyBytes: 4_194_304 })
    const deep = '['.repeat(500_000) + ']'.repeat(500_000)
    expect((await post(`{"tags":${deep}}`)).status).toBe(422)
    expect((await post(deep, JSON_TYPE)).status).toBe(422)
  })
})

describe('K4: two identities never become one', () => {
  const raw = (...parts: (string | number)[]): Buffer =>
    Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : Buffer.from(part))))

  test.each(['sensor_id', 'site_id', 'tenant_id', 'node_id'])(
    'bytes of %s that are not UTF-8 are refused by line and field',
    async (field) => {
      const { outbox, post } = await openDoor()
      const id = field === 'sensor_id' ? '' : '"sensor_id":"a",'
      const bad = (byte: number): Buffer => raw(`{${id}"${field}":"K`, byte, `hl","ts":${NOW},"power_w":1}`)
      const lines = Buffer.concat([bad(0xfc), raw('\n', line(), '\n'), bad(0xf6)])
      const list = Buffer.concat([raw('['), bad(0xfc), raw(',', line(), ','), bad(0xf6), raw(']')])
      for (const [body, type] of [
        [lines, 'application/x-ndjson'],
        [list, 'application/json'],
      ] as const) {
        const answer = await post(body, { 'content-type': type })
        expect(answer).toMatchObject({ status: 202, body: { accepted: 1, rejected_count: 2 } })
        expect(answer.body.rejected).toMatchObject([1, 3].map((at) => ({ line: at, field, code: 'NOT_UTF8' })))
      }
      expect(outbox.wal.appended).toBe(2)
    },
  )

  test.each(['9007199254740993', '9007199254740992', '5', 'true', 'null', '["a"]'])(
    'an id that is %s is refused',
    async (id) => {
      const { post } = await openDoor()
      expect(await post(`{"sensor_id":${id},"ts":${NOW},"power_w":1}`)).toMatchObject({
        status: 422,
        body: { rejected: [{ field: 'sensor_id', code: 'WRONG_TYPE' }] },
      })
    },
  )

  test.each(['iso-8859-1', 'utf-16le', 'windows-1252'])('a body declared as %s is refused', async (charset) => {
    const { post } = await openDoor()
    expect((await post(line(), { 'content-type': `application/x-ndjson; charset=${charset}` })).status).toBe(415)
  })
})

describe('K5: what is accepted is never refused later for its form', () => {
  test('identifiers are measured in bytes of UTF-8', async () => {
    const { post } = await openDoor()
    expect((await post(line({ sensor_id: '測'.repeat(85) }))).status).toBe(202)
    const { status, body } = await post(line({ sensor_id: '測'.repeat(86) }))
    expect(status).toBe(422)
    expect(body.rejected[0]).toMatchObject({ field: 'sensor_id', message: expect.stringContaining('258 bytes') })
  })
})

describe('K7: a time in another unit is refused with the unit that fits', () => {
  test.each<[string, number, RegExp]>([
    ['seconds', Math.floor(NOW / 1000), /it fits as seconds/],
    ['seconds with a fraction', NOW / 1000 + 0.25, /it fits as seconds/],
    ['microseconds', NOW * 1_000, /it fits as microseconds/],
    ['nanoseconds', NOW * 1_000_000, /it fits as nanoseconds/],
    ['nothing', 0, /1970-01-01.*2000-01-01/],
    ['a time before the earliest', Date.UTC(1999, 11, 31), /1999-12-31.*before the earliest/],
  ])('%s', async (_unit, ts, message) => {
    const { post } = await openDoor()
    const { status, body } = await post(line({ ts }))
    expect(status).toBe(422)
    expect(body.rejected[0]).toMatchObject({ field: 'ts', message: expect.stringMatching(message) })
  })

  test('ISO 8601 with a zone is taken; without one, or no date, it is refused', async () => {
    const { outbox, post } = await openDoor()
    const good = [
      '2026-01-31T12:00:00Z',
      '2026-01-31t13:00:00+01:00',
      '20260131T120000Z',
      '2026-01-31 12:00 UTC',
      '2026-01-31T10:00:00.000-02',
    ]
    expect(await post(good.map((ts) => line({ ts })).join('\n'))).toMatchObject({ status: 202, body: { accepted: 5 } })
    expect(new Set(decodeReadings(outbox.wal).map(({ ts }) => ts))).toEqual(new Set([Date.UTC(2026, 0, 31, 12)]))
    for (const ts of ['2026-01-31T12:00:00', '2026-02-30T00:00:00Z', 'today', '2026-01-31T25:00:00Z', true, null, [1]])
      expect(await post(line({ ts }))).toMatchObject({ status: 422, body: { rejected: [{ field: 'ts' }] } })
  })
})

describe('K8: nothing is overwritten silently', () => {
  test.each([
    [`{"sensor_id":"a","ts":${NOW},"power_w":1,"power_w":2}`, 'power_w'],
    [`{"sensor_id":"a","sensor_id":"b","ts":${NOW},"power_w":1}`, 'sensor_id'],
    [`{"sensor_id":"a","ts":${NOW},"power_w":1,"tags":{"x":"1","x":"2"}}`, 'x'],
    [`{"sensor_id":"a","ts":${NOW},"power_w":1,"power\\u005fw":2}`, 'power_w'],
    [`{"sensor_id":"a","ts":${NOW},"power_w":1,"__proto__":1,"__proto__":2}`, '__proto__'],
  ])('a repeated name is refused: %s', async (text, field) => {
    const { post } = await openDoor()
    for (const [body, type] of [
      [text, 'application/x-ndjson'],
      [`[${text}]`, 'application/json'],
      [text, 'application/json'],
    ])
      expect(await post(body, { 'content-type': type })).toMatchObject({
        status: 422,
        body: { rejected: [{ line: 1, field, code: 'REPEATED_NAME' }] },
      })
  })

  test('erase withdraws metrics by name, and nothing else', async () => {
    const { outbox, post } = await openDoor()
    expect((await post(line({ erase: ['voltage_v'] }))).status).toBe(202)
    expect((await post(line({ power_w: null, erase: ['power_w'] }))).status).toBe(202)
    expect(decodeReadings(outbox.wal).map(({ erase }) => erase)).toEqual([['voltage_v'], ['power_w']])
    for (const erase of [['power_w'], ['volts'], ['voltage_v', 'voltage_v'], 'voltage_v', [1]])
      expect(await post(line({ erase }))).toMatchObject({ status: 422, body: { rejected_count: 1 } })
  })

  test('a name that occurs as a value, or in another object, is no repetition', async () => {
    const { post } = await openDoor()
    const tags = { power_w: 'x', note: '"power_w":', 'a:b': '\\"' }
    expect((await post(line({ tags }))).status).toBe(202)
  })

  test('a POST repeated without a key is a duplicate, until another has brought a reading of one of its sensors', async () => {
    const { outbox, repeats, post } = await openDoor()
    const a = [line({ power_w: 1 }), '{}', line({ sensor_id: 'b' })].join('\n')
    const b = line({ power_w: 2 })
    const first = await post(a)
    expect(first).toMatchObject({ status: 202, body: { accepted: 2, rejected_count: 1, next_line: null } })
    const again = await post(a)
    expect(again).toMatchObject({ status: 202, body: { ...first.body, replayed: true } })
    expect([outbox.wal.appended, repeats.readings]).toEqual([2, 2])
    await post(line({ sensor_id: 'c' }))
    expect(await post(a)).toMatchObject({ body: { replayed: true } })
    // A, B, A ends as A.
    await post(b)
    expect((await post(a)).body).toEqual(first.body)
    expect((await post(b)).body).not.toHaveProperty('replayed')
    expect(decodeReadings(outbox.wal).map(({ sensor_id, power_w }) => `${sensor_id} ${String(power_w)}`)).toEqual([
      'a 1',
      'b 1.5',
      'c 1.5',
      'a 2',
      'a 1',
      'b 1.5',
      'a 2',
    ])
  })

  test('a body that is sent on and on is no lost answer: it is taken', async () => {
    const { outbox, post } = await openDoor()
    for (let i = 0; i < 12; i += 1) expect((await post(line())).status).toBe(202)
    expect(outbox.wal.appended).toBe(12 - 5)
  })

  test('a body with numbers of its own, or one that was not taken to its end, is no repeat', async () => {
    const { outbox, post } = await openDoor({ maxBytes: 65_536, bodyBytes: 1_048_576 })
    const numbered = line({ epoch: 7, seq: 0 })
    for (let i = 0; i < 2; i += 1) expect((await post(numbered)).body).not.toHaveProperty('replayed')
    expect(outbox.wal.appended).toBe(2)
    const long = Array.from({ length: 2_000 }, () => line()).join('\n')
    for (let i = 0; i < 2; i += 1) expect((await post(long)).body).not.toHaveProperty('replayed')
  })

  test('a POST repeated with its Idempotency-Key is taken once, after a restart as well', async () => {
    const first = await openDoor()
    const dir = first.outbox.wal.dir
    const body = [line(), '{}', line()].join('\n')
    const key = { 'idempotency-key': 'order-17' }
    const answer = await first.post(body, key)
    expect(answer).toMatchObject({ status: 202, body: { accepted: 2, rejected_count: 1 } })
    const repeated = await first.post(body, key)
    expect(repeated).toMatchObject({ status: 202, body: { ...answer.body, replayed: true } })
    expect(repeated.headers.get('idempotent-replayed')).toBe('true')
    expect(first.outbox.wal.appended).toBe(2)
    expect(await first.post(line(), key)).toMatchObject({ status: 400, body: { code: 'IDEMPOTENCY_KEY' } })
    await first.close()
    const second = await openDoor({ dir })
    expect(await second.post(body, key)).toMatchObject({ status: 202, body: { accepted: 2, replayed: true } })
    expect(second.outbox.wal.appended).toBe(2)
    expect((await second.post(body, { 'idempotency-key': 'order-18' })).status).toBe(202)
    expect(second.outbox.wal.appended).toBe(4)
    expect(statSync(join(dir, 'idempotency-keys')).mode & 0o777).toBe(0o600)
  })

  test('killed between the log and the answer: what the log has of the request is not taken again', async () => {
    const first = await openDoor()
    const dir = first.outbox.wal.dir
    await first.post([line(), line()].join('\n'))
    const body = [line({ ts: NOW - 3 }), line({ ts: NOW - 2 }), line({ ts: NOW - 1 })].join('\n')
    await first.post(body, { 'idempotency-key': 'k' })
    await first.close()
    // As the kill left it: the key begun, its end never written, and only the first of its readings in the log.
    const file = join(dir, 'idempotency-keys')
    const [begun] = readFileSync(file, 'utf8').split('\n')
    writeFileSync(file, `${begun.replace('"from":2', '"from":4')}\n{"key":"k","dig`)
    const second = await openDoor({ dir })
    expect(await second.post(body, { 'idempotency-key': 'k' })).toMatchObject({ status: 202, body: { accepted: 3 } })
    expect(second.outbox.wal.appended).toBe(5 + 2)
  })
})

describe('K10, K12: a refusal names the way out', () => {
  test('lines sent as application/json', async () => {
    const { post } = await openDoor()
    expect(await post([line(), line()].join('\n'), JSON_TYPE)).toMatchObject({
      status: 400,
      body: { detail: expect.stringContaining('application/x-ndjson'), accepted: 0, next_line: 1 },
    })
  })

  test.each(['application/jsonl', 'application/ndjson', 'application/x-jsonlines'])(
    '%s is taken as lines',
    async (type) => {
      const { post } = await openDoor()
      expect(await post([line(), line()].join('\n'), { 'content-type': type })).toMatchObject({ body: { accepted: 2 } })
    },
  )

  test.each(['application/vnd.acme.readings+json', 'application/json; charset=UTF-8'])(
    '%s is taken as JSON',
    async (type) => {
      const { post } = await openDoor()
      expect(await post(`[${line()}]`, { 'content-type': type })).toMatchObject({ status: 202 })
    },
  )

  test.each(['text/plain', 'text/csv', 'application/x-www-form-urlencoded'])(
    '%s is refused with the types that are taken',
    async (type) => {
      const { post } = await openDoor()
      const { status, body } = await post(line(), { 'content-type': type })
      expect(status).toBe(415)
      for (const part of [type, 'application/json', 'application/x-ndjson']) expect(body.detail).toContain(part)
    },
  )

  test('a byte order mark is no part of the first line', async () => {
    const { post } = await openDoor()
    expect(await post(`\uFEFF${line()}`)).toMatchObject({ status: 202 })
    expect(await post(`\uFEFF[${line()}]`, JSON_TYPE)).toMatchObject({ status: 202 })
  })
})
