import { describe, expect, it } from 'vitest'
import { KafkaError } from '../../../platform/errors.ts'
import { LedgerError } from '../core/ledger.ts'
import { Troubles } from './troubles.ts'

const BROKEN = new LedgerError('LEDGER_UNBALANCED', 'the ledger is off by 1')

describe('K1: a partition that fails again and again', () => {
  it('is named with partition, offset, cause, since when, and what helps', () => {
    const troubles = new Troubles()
    for (const nowMs of [1_000, 2_000]) troubles.failed(2, 17, BROKEN, nowMs)
    expect(troubles.describe('telemetry.raw')).toEqual([])
    troubles.failed(2, 17, BROKEN, 3_000)
    expect(troubles.describe('telemetry.raw')).toEqual([
      'telemetry.raw/2 at offset 17 has failed 3 times since 1970-01-01T00:00:01.000Z: the ledger is off by 1; a defect of refine: keep telemetry.raw and report the offset; if this record alone is the cause: plumbline partitions skip telemetry.raw 2 17',
    ])
  })

  it('is no longer named when it has got beyond the offset, and counts from one when it fails further on', () => {
    const troubles = new Troubles()
    for (let i = 0; i < 5; i += 1) troubles.failed(0, 17, BROKEN, i)
    troubles.passed(0, 17)
    expect(troubles.describe('t')).toHaveLength(1)
    troubles.passed(0, 18)
    expect(troubles.describe('t')).toEqual([])
    expect(troubles.failed(0, 20, BROKEN, 9).times).toBe(1)
    expect(troubles.failed(0, 25, BROKEN, 9).times).toBe(1)
  })

  it('counts failures to acquire it, whose offset nobody knows yet', () => {
    const troubles = new Troubles()
    const away = new KafkaError('REQUEST_TIMED_OUT', 'no answer')
    for (let i = 0; i < 3; i += 1) troubles.failed(1, null, away, 0)
    expect(troubles.describe('t')[0]).toMatch(/^t\/1 has failed 3 times since .*: no answer; run plumbline status/)
    troubles.forget(1)
    expect(troubles.describe('t')).toEqual([])
  })
})

describe('what concerns all partitions', () => {
  it('is named until it is reported as gone', () => {
    const troubles = new Troubles()
    troubles.report('partitions', ['telemetry.raw has 8 partitions, telemetry.clean 6'])
    expect(troubles.describe('t')).toEqual(['telemetry.raw has 8 partitions, telemetry.clean 6'])
    troubles.report('partitions', [])
    expect(troubles.describe('t')).toEqual([])
  })
})

describe('security 6: settings of a version that this process has not read', () => {
  it('are left alone for a while, since another process may have read more, and then overruled and named', () => {
    const troubles = new Troubles()
    const version = Number.MAX_SAFE_INTEGER
    expect(troubles.isForeign(1, 't', version, 4, 0)).toBe(false)
    expect(troubles.isForeign(1, 't', version, 4, 14_999)).toBe(false)
    expect(troubles.describe('t')).toEqual([])
    expect(troubles.isForeign(1, 't', version, 4, 15_000)).toBe(true)
    expect(troubles.describe('t')[0]).toContain(
      `t/1 works by settings of version ${version}, which topic config does not have`,
    )
    expect(troubles.isForeign(1, 't', 4, 4, 16_000)).toBe(true)
    expect(troubles.describe('t')).toEqual([])
  })
})
