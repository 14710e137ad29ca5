// Distributes partitions so that those of one number go to one member, whatever the topic. A sensor's
// readings are in one partition of clean and in the same of late; the writer of both sees its own rows only, as a store
// without transactions requires. The client's round-robin counts over all topics and would separate them.
import type { PartitionAssigner } from 'kafkajs'
import type { Protocol } from './assigner.ts'

/** The client's own name and metadata format: so a member of an earlier version does not break the group. */
const NAME = 'RoundRobinAssigner'

/** The member that gets partitions of this number; all members compute the same one. */
export const memberOf = (memberIds: readonly string[], partition: number): string =>
  memberIds.toSorted()[partition % memberIds.length]

/** @param protocol of the loaded client, see kafkajs-assigner.ts */
export const sharedAssigner =
  ({ MemberMetadata, MemberAssignment }: Protocol): PartitionAssigner =>
  ({ cluster }) => ({
    name: NAME,
    version: 0,
    protocol: ({ topics }) => ({
      name: NAME,
      metadata: MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) }),
    }),
    assign: ({ members, topics }) => {
      const ids = members.map(({ memberId }) => memberId)
      const assignments = new Map(
        ids.map((id) => [id, Object.fromEntries(topics.map((topic) => [topic, [] as number[]]))]),
      )
      for (const topic of topics)
        for (const { partitionId } of cluster.findTopicPartitionMetadata(topic))
          assignments.get(memberOf(ids, partitionId))![topic].push(partitionId)
      return Promise.resolve(
        [...assignments].map(([memberId, assignment]) => ({
          memberId,
          memberAssignment: MemberAssignment.encode({ version: 0, assignment, userData: Buffer.alloc(0) }),
        })),
      )
    },
  })
