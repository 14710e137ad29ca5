// Assigns all partitions of a group to one member, which keeps them: each member states its claim on joining, and the
// group's leader gives everything to the highest. kafkajs has only round-robin, which would redistribute the partitions
// whenever a member comes or goes.
import type { AssignerProtocol, PartitionAssigner } from 'kafkajs'

export type Protocol = typeof AssignerProtocol

export interface Claimant {
  readonly memberId: string
  readonly claim: number
}

const CLAIM_BYTES = 8

/** The member that gets everything: the highest claim, then the lowest member id, so that all agree. */
export function ownerOf(claimants: readonly [Claimant, ...Claimant[]]): Claimant {
  return claimants.reduce((best, one) =>
    one.claim > best.claim || (one.claim === best.claim && one.memberId < best.memberId) ? one : best,
  )
}

export function encodeClaim(claim: number): Buffer {
  if (!Number.isSafeInteger(claim) || claim < 0) throw new RangeError(`a claim of ${claim} is no whole number`)
  const bytes = Buffer.allocUnsafe(CLAIM_BYTES)
  bytes.writeBigInt64BE(BigInt(claim))
  return bytes
}

/** Anything but a valid claim counts as none: a stranger in the group must not stop its members. */
export function decodeClaim(userData: Buffer | null | undefined): number {
  if (userData?.length !== CLAIM_BYTES) return 0
  const claim = Number(userData.readBigInt64BE())
  return Number.isSafeInteger(claim) && claim > 0 ? claim : 0
}

/**
 * @param protocol of the loaded client: importing it here would load the client before its replacements are in place
 * @param claim asked at every join
 */
export const oneOwnerAssigner =
  ({ MemberMetadata, MemberAssignment }: Protocol, claim: () => number): PartitionAssigner =>
  ({ cluster }) => ({
    name: 'PlumblineOneOwner',
    version: 0,
    protocol: ({ topics }) => ({
      name: 'PlumblineOneOwner',
      metadata: MemberMetadata.encode({ version: 0, topics, userData: encodeClaim(claim()) }),
    }),
    assign: ({ members, topics }) => {
      const claimants = members.map(({ memberId, memberMetadata }) => ({
        memberId,
        claim: decodeClaim(MemberMetadata.decode(memberMetadata)?.userData),
      }))
      const { memberId } = ownerOf(claimants as [Claimant, ...Claimant[]])
      const assignment = Object.fromEntries(
        topics.map((topic) => [topic, cluster.findTopicPartitionMetadata(topic).map((found) => found.partitionId)]),
      )
      const memberAssignment = MemberAssignment.encode({ version: 0, assignment, userData: Buffer.alloc(0) })
      // Members not named get an empty assignment from the broker.
      return Promise.resolve([{ memberId, memberAssignment }])
    },
  })
