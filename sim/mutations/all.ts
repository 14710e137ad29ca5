// The bugs that the simulation must find.
import { earlyOffset } from './early-offset.ts'
import { extentOutside } from './extent-outside.ts'
import { keepState } from './keep-state.ts'
import { anyPartition, oneSchema, skipUnreadable } from './misread-raw.ts'
import type { Mutation } from './mutation.ts'
import { believeCopies, overlookOpen, overlookRemoved } from './overlook-loss.ts'
import { reuseProducer } from './reuse-producer.ts'
import { skipFencing } from './skip-fencing.ts'
import { leaveOutReading, rewriteValue } from './spoil-clean.ts'
import { twoWriters } from './two-writers.ts'

export const MUTATIONS: readonly Mutation[] = [
  skipFencing,
  reuseProducer,
  twoWriters,
  earlyOffset,
  keepState,
  extentOutside,
  leaveOutReading,
  rewriteValue,
  skipUnreadable,
  oneSchema,
  anyPartition,
  believeCopies,
  overlookOpen,
  overlookRemoved,
]
