// Every state by every event, complete by type: a state or an event that is added does not compile until its row is here.
import { describe, expect, it } from 'vitest'
import { nextState, type PartitionEvent, type PartitionState, SinkPartition } from './sink-partition.ts'

type StateKind = PartitionState['kind']
type EventKind = PartitionEvent['kind']

const advance = { stored: 10, position: 12, throughMs: 100, marks: [], savedMs: 5 }
const STATES: { readonly [K in StateKind]: Extract<PartitionState, { kind: K }> } = {
  seeking: { kind: 'seeking' },
  reading: { kind: 'reading', ...advance },
  writing: { kind: 'writing', ...advance },
  revoked: { kind: 'revoked' },
}
const marks = [{ kind: 'refined', atMs: 1 }] as const
const EVENTS: { readonly [K in EventKind]: Extract<PartitionEvent, { kind: K }> } = {
  found: { kind: 'found', stored: null, position: 3, throughMs: 7 },
  submitted: { kind: 'submitted' },
  saved: { kind: 'saved', offset: 20, nowMs: 9 },
  settled: { kind: 'settled' },
  passed: { kind: 'passed', offset: 15 },
  looked: { kind: 'looked', marks, throughMs: 200 },
  revoked: { kind: 'revoked' },
}

const fresh = { stored: null, position: 3, throughMs: 7, marks: [], savedMs: -Infinity }
const saved = { ...advance, stored: 20, position: 20, savedMs: 9 }
const looked = { ...advance, marks, throughMs: 200 }
const { reading, writing, revoked } = STATES
const never = 'throws'

const TABLE: Readonly<Record<StateKind, Readonly<Record<EventKind, PartitionState | typeof never>>>> = {
  seeking: {
    found: { kind: 'reading', ...fresh },
    submitted: never,
    saved: never,
    settled: never,
    passed: never,
    looked: never,
    revoked,
  },
  reading: {
    found: never,
    submitted: writing,
    saved: { kind: 'reading', ...saved },
    settled: never,
    passed: { ...reading, position: 15 },
    looked: { kind: 'reading', ...looked },
    revoked,
  },
  writing: {
    found: never,
    submitted: never,
    saved: { kind: 'writing', ...saved },
    settled: reading,
    passed: writing,
    looked: { kind: 'writing', ...looked },
    revoked,
  },
  revoked: {
    found: revoked,
    submitted: revoked,
    saved: revoked,
    settled: revoked,
    passed: revoked,
    looked: revoked,
    revoked,
  },
}

describe('a partition of the sink', () => {
  for (const [state, row] of Object.entries(TABLE) as [StateKind, (typeof TABLE)[StateKind]][])
    for (const [event, expected] of Object.entries(row) as [EventKind, PartitionState | typeof never][])
      it(`${state} × ${event}: ${expected === never ? never : expected.kind}`, () => {
        const run = (): PartitionState => nextState(STATES[state], EVENTS[event])
        if (expected === never) expect(run).toThrow(`a partition that is ${state} cannot be ${event}`)
        else expect(run()).toEqual(expected)
      })

  it('never goes back: neither by a late answer of the store nor by a tail that is behind, and keeps the time it knows', () => {
    expect(nextState(reading, { kind: 'saved', offset: 11, nowMs: 9 })).toMatchObject({ stored: 11, position: 12 })
    expect(nextState(reading, { kind: 'passed', offset: 11 })).toMatchObject({ position: 12 })
    expect(nextState(writing, { kind: 'looked', marks, throughMs: null })).toMatchObject({ throughMs: 100 })
  })

  it('gives its advance only while it is ours and found', () => {
    const partition = new SinkPartition({ topic: 'telemetry.clean', partition: 3 })
    expect([partition.name, partition.advance, partition.isRevoked]).toEqual(['telemetry.clean/3', null, false])
    partition.found(4, 4, null)
    expect(partition.advance).toMatchObject({ kind: 'reading', stored: 4, position: 4 })
    partition.revoke()
    expect([partition.advance, partition.isRevoked]).toEqual([null, true])
  })
})
