// Each check by a table of what can be found.
import { describe, expect, test } from 'vitest'
import {
  checkAnswers,
  checkClocks,
  checkDisk,
  checkFolder,
  checkGroup,
  checkPorts,
  checkStore,
  checkToken,
  checkTopics,
  checkTransactions,
  checkVersions,
  doctorText,
  type Finding,
  skipped,
} from './checks.ts'

const folder = { path: '/d', kind: 'folder', writable: true, mode: 0o700 } as const
const port = { setting: 'SINKS_PORT', port: 8084 } as const
const data = (name: string, partitions: number | null) => ({ name, partitioning: 'data' as const, partitions })
const one = (partitions: number) => ({ name: 'telemetry.order', partitioning: 'one' as const, partitions })
const group = (...partitions: { committed: number | null; start: number; end: number }[]) =>
  checkGroup({ group: 'refine', topic: 'telemetry.raw', partitions })
const transaction = { topic: 'telemetry.raw', partition: 3, transactionalId: 'refine-3', firstOffset: 7, ageMs: 90_000 }
const GIB = 1024 ** 3

describe('the doctor', () => {
  test.each<[string, Finding, RegExp]>([
    ['the right Node', checkVersions('26.10.0', '0.1.0'), /Node 26\.10\.0/],
    ['a writable private folder', checkFolder(folder), /writable and private/],
    ['a folder that will be made', checkFolder({ ...folder, kind: 'missing', mode: null }), /will be made/],
    ['room on the disk', checkDisk(10 * GIB, 20 * GIB, '/d'), /10\.0 GiB free .*50 %/],
    ['free ports', checkPorts([{ ...port, use: 'free' }], false), /all are free/],
    ['our ports', checkPorts([{ ...port, use: 'ours' }], true), /every part listens/],
    ['no token on loopback', checkToken('127.0.0.1', true, undefined), /none is needed/],
    ['a long token', checkToken('0.0.0.0', false, 'x'.repeat(32)), /set; processes listen on 0\.0\.0\.0/],
    ['a broker', checkAnswers('broker', 'h:9092', { ok: true, value: '13 topics' }), /h:9092: 13 topics/],
    ['equal partitions', checkTopics([data('a', 6), data('b', 6), one(1)]), /3, data topics with 6/],
    ['a new group', group({ committed: null, start: 0, end: 5 }), /has not begun; .* 5 records/],
    ['a group within its log', group({ committed: 5, start: 5, end: 9 }), /4 behind its end/],
    ['a young transaction', checkTransactions([{ ...transaction, ageMs: 100 }]), /1 open, none for long/],
    ['clocks', checkClocks([{ member: 'n', behindMs: -1_500 }]), /1 members are within 2 s/],
    ['a store', checkStore('s', { ok: true, value: 3 }), /readable, 3 partitions/],
    ['a store that does not exist yet', checkStore('s', { ok: true, value: null }), /nothing has been stored yet/],
  ])('finds nothing wrong with %s', (_, finding, detail) => {
    expect(finding).toMatchObject({ kind: 'ok', detail: expect.stringMatching(detail) as string })
  })

  test.each<[string, Finding, RegExp, RegExp]>([
    ['an old Node', checkVersions('20.1.0', '0.1.0'), /Node 26 is needed/, /bin\/plumbline/],
    ['a file as DATA_DIR', checkFolder({ ...folder, kind: 'other' }), /is not a folder/, /set DATA_DIR/],
    ['a folder of another user', checkFolder({ ...folder, writable: false }), /cannot be written/, /chown/],
    ['a folder that all can read', checkFolder({ ...folder, mode: 0o755 }), /other users/, /chmod 700 \/d/],
    ['a full disk', checkDisk(GIB, 100 * GIB, '/d'), /1\.0 GiB free .*1 %/, /make room/],
    ['a disk of size 0', checkDisk(0, 0, '/d'), /0\.0 GiB free/, /make room/],
    ['a taken port', checkPorts([{ ...port, use: 'other' }], true), /8084 \(SINKS_PORT\)/, /stop these programs/],
    ['a part that does not listen', checkPorts([{ ...port, use: 'free' }], true), /nothing listens on 8084/, /status/],
    ['a short token', checkToken('0.0.0.0', false, 'x'), /has 1 characters/, /openssl rand/],
    ['no broker', checkAnswers('broker', 'h:1', { ok: false, reason: 'refused' }), /h:1: refused/, /KAFKA_BROKERS/],
    ['no registry', checkAnswers('registry', 'u', { ok: false, reason: 'refused' }), /u: refused/, /REGISTRY_URL/],
    ['a missing topic', checkTopics([data('a', null), data('b', 6)]), /missing: a/, /plumbline up/],
    [
      'an order in two partitions',
      checkTopics([data('a', 6), one(2)]),
      /has 2 partitions and needs exactly 1/,
      /delete/,
    ],
    ['faults 4: partitions added to one topic', checkTopics([data('a', 8), data('b', 6)]), /a 8, b 6/, /same number/],
    [
      'faults 2: records removed unread',
      group({ committed: 3, start: 7, end: 9 }),
      /0: 3 to 6/,
      /audit.*accept-loss telemetry\.raw/,
    ],
    ['a topic made again', group({ committed: 9, start: 0, end: 2 }), /0: 9, the end is 2/, /clean/],
    [
      'a group without the offset of one partition',
      group({ committed: 1, start: 0, end: 2 }, { committed: null, start: 0, end: 4 }),
      /no offset for partition 1/,
      /log/,
    ],
    [
      'a transaction that hangs',
      checkTransactions([transaction]),
      /telemetry\.raw\/3 since offset 7, 90 s: refine-3/,
      /stop the process/,
    ],
    [
      'a transaction that nobody knows, however young',
      checkTransactions([{ ...transaction, transactionalId: null, ageMs: 1 }]),
      /no coordinator knows/,
      /abort/,
    ],
    ['a clock that is behind', checkClocks([{ member: 'n', behindMs: 9_000 }]), /n is 9000 ms behind/, /NTP/],
    ['a clock that is ahead', checkClocks([{ member: 'n', behindMs: -9_000 }]), /n is 9000 ms ahead/, /NTP/],
    ['a broken store', checkStore('s', { ok: false, reason: 'damaged' }), /s: damaged/, /filled again/],
  ])('names %s and the next step', (_, finding, detail, next) => {
    expect(finding).toMatchObject({
      kind: 'problem',
      detail: expect.stringMatching(detail) as string,
      next: expect.stringMatching(next) as string,
    })
  })

  test('prints a line for each finding, the next step below a problem, and the count', () => {
    const text = doctorText([
      checkVersions('26.0.0', '1'),
      checkFolder({ ...folder, mode: 0o755 }),
      skipped('topics', 'the broker does not answer'),
    ])
    expect(text.split('\n')).toEqual([
      'ok       versions     Plumbline 1, Node 26.0.0',
      'PROBLEM  permissions  DATA_DIR, /d, can be read by other users',
      '                      → run: chmod 700 /d',
      'skipped  topics       the broker does not answer',
      '1 problem',
      '',
    ])
  })
})
