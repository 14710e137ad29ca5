import { describe, expect, test } from 'vitest'
import { TOPICS } from '../../../schemas/topics.ts'
import { aclCommands, applyText, RIGHTS, stateOf, type Wanted } from './apply.ts'

const wanted = (existing: number | null): Wanted => ({ spec: TOPICS[0], partitions: 6, existing })

describe('what a cluster needs', () => {
  test.each([
    ['missing', null],
    ['exists', 6],
    ['differs', 8],
  ] as const)('a topic %s', (state, existing) => {
    expect(stateOf(wanted(existing))).toBe(state)
    expect(applyText([wanted(existing)])).toContain(`${state.padEnd(7)}  telemetry.raw  partitions=6`)
  })

  test('rights name declared topics only, and every topic has a writer', () => {
    const names = new Set(TOPICS.map(({ name }) => name))
    const written = new Set(RIGHTS.flatMap(({ write }) => write))
    for (const { read, write } of RIGHTS) for (const topic of [...read, ...write]) expect(names).toContain(topic)
    // Dead letters are marked by the command that replays them.
    expect([...names].filter((name) => !written.has(name))).toEqual(['telemetry.dlq.marks'])
  })

  test('only producers and stream jobs may write to raw, where settings travel', () => {
    expect(RIGHTS.filter(({ write }) => write.includes('telemetry.raw')).map(({ process }) => process)).toEqual([
      'producers',
      'stream-jobs',
    ])
  })

  test('a transactional id that counts partitions is allowed by its prefix', () => {
    expect(aclCommands((process) => `User:${process}`)).toContain(
      'kafka-acls.sh --add --allow-principal User:stream-jobs --operation Write --operation Describe --transactional-id refine- --resource-pattern-type prefixed',
    )
  })
})
