// The lives of one member of a consumer group. The client's consumer can end for good after one lost answer; the member
// then gives up its partitions, leaves, and is recreated after a wait that grows while lives are short. A fatal error
// ends the member. What a member does with its partitions is up to its owner, see MemberLife.
import { backoffMs, type BackoffOptions } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import { KafkaError } from '../errors.ts'
import { aborted } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import { pause } from '../retry.ts'
import type { ConsumerHandlers, GroupConsumer } from './port.ts'

/** After a life this long the wait is reset to the shortest, ms. */
const STABLE_MS = 60_000

/** One consumer and what works through its batches. */
export interface MemberLife {
  readonly consumer: GroupConsumer
  readonly handlers: Omit<ConsumerHandlers, 'onCrash'>
  /** Before the consumer joins. A KafkaError counts as a crash. */
  readonly prepare?: () => Promise<void>
  /** Runs beside the consumer once it has joined, until the signal fires. A KafkaError counts as a crash. */
  readonly beside?: (end: AbortSignal) => Promise<unknown> | void
  /** Gives up the partitions before leaving the group. @param how clean: stopped on purpose, and nothing is wrong */
  readonly release: (how: 'clean' | 'failed') => Promise<void> | void
}

/** What ends a life from inside. */
export interface LifeEnds {
  /** The member ends with this reason. */
  readonly fail: (error: Error) => void
  /** The next life begins at once: nothing is wrong with this one, but what it was created for has changed. */
  readonly renew: () => void
}

export interface GroupMemberOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  /** In the log: "<name> has ended". */
  readonly name: string
  readonly backoff: BackoffOptions
  readonly live: (ends: LifeEnds) => MemberLife
  /** Before every life; must wait for what `renew` was called for. A retriable KafkaError counts as a crash. */
  readonly beforeLife?: () => Promise<void>
  /** Whether another life would end the same way; never if not given. */
  readonly isFatal?: (error: KafkaError) => boolean
  /** With more crashes than this in the period the last one is fatal; there is no limit if not given. */
  readonly crashLimit?: { readonly crashesMax: number; readonly periodMs: number }
}

/** Runs until the signal fires. @throws what is fatal */
export async function runGroupMember(options: GroupMemberOptions, signal: AbortSignal): Promise<void> {
  const { clock, random, log, name, backoff, isFatal, crashLimit } = options
  let recent: number[] = []
  // Not `retry`: a life is not work that succeeds. It may last for months, and how long it lasted resets the waits.
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    const started = clock.mono()
    const crash = await runLife(options, signal)
    if (crash === null) continue
    if (isFatal?.(crash) === true) throw crash
    log.error({ err: crash }, `${name} has ended; recreating it`)
    const now = clock.mono()
    if (crashLimit !== undefined) {
      recent = [...recent.filter((at) => now - at < crashLimit.periodMs), now]
      if (recent.length > crashLimit.crashesMax) throw crash
    }
    if (now - started > STABLE_MS) attempt = 0
    await pause(backoffMs(backoff, attempt, random), signal, clock)
  }
}

/** Returns the crash that ended the life, or null after a stop or a renewal; throws what is fatal. */
async function runLife(options: GroupMemberOptions, signal: AbortSignal): Promise<KafkaError | null> {
  const { beforeLife, live, log, name } = options
  try {
    await beforeLife?.()
  } catch (error) {
    if (error instanceof KafkaError && error.retriable) return error
    throw error
  }
  const ended = new AbortController()
  const end = AbortSignal.any([signal, ended.signal])
  let crash: KafkaError | null = null
  let fatal: Error | null = null
  const fail = (error: Error): void => {
    fatal ??= error
    ended.abort()
  }
  const onCrash = (error: Error): void => {
    crash = error instanceof KafkaError ? error : new KafkaError('CRASH', error.message, { cause: error })
    ended.abort()
  }
  const { consumer, handlers, prepare, beside, release } = live({ fail, renew: () => ended.abort() })
  try {
    await prepare?.()
    await consumer.run({
      onAssigned: (partitions, generation) => handlers.onAssigned(partitions, generation),
      onBatch: (fetched, context) => handlers.onBatch(fetched, context),
      onHeartbeat: () => handlers.onHeartbeat?.(),
      onCrash,
    })
    await Promise.all([aborted(end), beside?.(end)])
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    crash = error
  } finally {
    ended.abort()
    await release(signal.aborted && fatal === null ? 'clean' : 'failed')
    await consumer
      .close()
      .catch((error: unknown) => log.warn({ err: error }, `${name} did not leave the group cleanly`))
  }
  if (fatal !== null) throw fatal as Error
  return crash
}
