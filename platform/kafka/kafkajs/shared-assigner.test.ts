import fc from 'fast-check'
import { AssignerProtocol, type Cluster, type Logger } from 'kafkajs'
import { expect, test } from 'vitest'
import { checkAsync } from '../../../test/fixtures/property.ts'
import { sharedAssigner } from './shared-assigner.ts'

const TOPICS = ['clean', 'late', 'anomalies']

test('EM-3: shared partitions of one number go to one member in all topics, each to exactly one, evenly', async () => {
  const members = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 7 })
  await checkAsync(
    fc.asyncProperty(members, fc.integer({ min: 1, max: 12 }), async (ids, partitions) => {
      const cluster = {
        findTopicPartitionMetadata: () => Array.from({ length: partitions }, (_, partitionId) => ({ partitionId })),
      } as unknown as Cluster
      const assigner = sharedAssigner(AssignerProtocol)({
        cluster,
        groupId: 'g',
        logger: undefined as unknown as Logger,
      })
      const { metadata } = assigner.protocol({ topics: TOPICS })
      const assigned = await assigner.assign({
        members: ids.map((memberId) => ({ memberId, memberMetadata: metadata })),
        topics: TOPICS,
      })
      const shares = assigned.map(
        ({ memberAssignment }) => AssignerProtocol.MemberAssignment.decode(memberAssignment)!.assignment,
      )
      for (const share of shares) for (const topic of TOPICS) expect(share[topic]).toEqual(share.clean)
      const all = shares.flatMap((share) => share.clean).sort((a, b) => a - b)
      expect(all).toEqual(Array.from({ length: partitions }, (_, partition) => partition))
      const sizes = shares.map((share) => share.clean.length)
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
    }),
  )
})
