// Bugs of overlooking: a log that was restored from a copy passes for the original; what an open transaction hides passes
// for not yet arrived; records that were removed unread pass for never written (auto.offset.reset).
import { closeSync, existsSync, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { segmentName } from '../../platform/wal/format.ts'
import { listSegments } from '../../platform/wal/reader.ts'
import { readBoot, Witness } from '../../platform/wal/witness.ts'
import { RAW } from '../../schemas/topics.ts'
import { type Mutation, withAdmin } from './mutation.ts'

export const believeCopies: Mutation = {
  name: 'take a restored log for the original',
  beforeOpen: (dir, boot) => {
    const bases = existsSync(dir) ? listSegments(dir) : []
    // After a power cut it still renews its epoch.
    if (bases.length === 0 || readBoot(dir) !== boot) return
    const baseIndex = bases[bases.length - 1]
    const file = join(dir, segmentName(baseIndex))
    const fd = openSync(file, 'r')
    const witness = new Witness(dir, boot, false)
    witness.begin(fd, { baseIndex, bytes: statSync(file).size })
    witness.close()
    closeSync(fd)
  },
  seeds: [8, 9],
}

export const overlookOpen: Mutation = {
  name: 'take what an open transaction hides for not yet arrived',
  wrap: (kafka) =>
    withAdmin(kafka, (admin) => ({
      highWatermarks: async (topic) =>
        topic === RAW ? (await admin.offsetRanges(topic)).map(({ end }) => end) : admin.highWatermarks(topic),
    })),
  seeds: [2, 3],
}

export const overlookRemoved: Mutation = {
  name: 'continue after records that were removed unread',
  changeBroker: (broker) => broker.hideRemovals(),
  seeds: [17, 28],
}
