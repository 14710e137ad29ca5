import fc from 'fast-check'
import { AssignerProtocol, type Cluster, type Logger } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { check } from '../../../test/fixtures/property.ts'
import { type Claimant, decodeClaim, encodeClaim, oneOwnerAssigner, ownerOf } from './assigner.ts'

const claimants = fc
  .uniqueArray(fc.record({ memberId: fc.string({ minLength: 1 }), claim: fc.nat() }), {
    minLength: 1,
    selector: ({ memberId }) => memberId,
  })
  .map((all) => all as [Claimant, ...Claimant[]])

const cluster = {
  findTopicPartitionMetadata: () => [{ partitionId: 0 }, { partitionId: 2 }, { partitionId: 1 }],
} as unknown as Cluster
const assigner = (claim: number) =>
  oneOwnerAssigner(AssignerProtocol, () => claim)({ cluster, groupId: 'g', logger: undefined as unknown as Logger })
const member = (memberId: string, claim: number) => ({
  memberId,
  memberMetadata: assigner(claim).protocol({ topics: ['t'] }).metadata,
})

describe('DS-2: one owner of all partitions', () => {
  test('it is the one with the highest claim, whatever the order in which members are listed', () => {
    check(
      fc.property(claimants, fc.nat(), (all, by) => {
        const at = by % all.length
        const turned = [...all.slice(at), ...all.slice(0, at)] as [Claimant, ...Claimant[]]
        const owner = ownerOf(all)
        expect(ownerOf(turned)).toEqual(owner)
        expect(Math.max(...all.map(({ claim }) => claim))).toBe(owner.claim)
      }),
    )
  })

  test('an owner that has committed more than all others keeps the partitions while members come and go', () => {
    check(
      fc.property(claimants, claimants, (before, after) => {
        const owner = { memberId: '~owner', claim: 2 ** 40 }
        expect(ownerOf([owner, ...before])).toEqual(owner)
        expect(ownerOf([...after, owner] as [Claimant, ...Claimant[]])).toEqual(owner)
      }),
    )
  })

  test('a claim survives its way through the join, up to the greatest sequence; other bytes claim nothing', () => {
    for (const claim of [0, 1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER])
      expect(decodeClaim(encodeClaim(claim))).toBe(claim)
    for (const bytes of [null, undefined, Buffer.alloc(0), Buffer.from('abc'), Buffer.alloc(8, 0xff)])
      expect(decodeClaim(bytes)).toBe(0)
    expect(() => encodeClaim(-1)).toThrow(RangeError)
    expect(() => encodeClaim(0.5)).toThrow(RangeError)
  })

  test('all partitions of all topics go to the owner and nobody else is named', async () => {
    const assigned = await assigner(0).assign({
      members: [member('a', 5), member('c', 7), member('b', 7)],
      topics: ['t', 'u'],
    })
    expect(assigned.map(({ memberId }) => memberId)).toEqual(['b'])
    expect(AssignerProtocol.MemberAssignment.decode(assigned[0].memberAssignment)!.assignment).toEqual({
      t: [0, 2, 1],
      u: [0, 2, 1],
    })
  })
})
