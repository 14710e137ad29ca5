// Why partitions are stuck: a partition that keeps failing for one cause, an unavailable registry, topics that
// do not match, transactions that others leave open. Readiness and the log report partition, offset, cause
// and remedy; each consecutive failure lengthens the wait for the next attempt.
import type { RegistryError } from '../../../platform/codec/register.ts'
import { messageOf, PlumblineError } from '../../../platform/errors.ts'
import type { KafkaErrorCode } from '../../../platform/kafka/error-codes.ts'
import type { CoreFailure } from '../core/careful.ts'
import type { LedgerError } from '../core/ledger.ts'

/** Once may be a restarting broker; from then on it is reported. */
const NAMED_FROM = 3
/** How far a process may lag another in reading topic config, ms. */
const CLAIM_MS = 15_000

const DEFECT = 'a defect of refine: keep telemetry.raw and report the offset'
/** The remedy, by error code. */
const HELP = {
  CORE_FAILED: DEFECT,
  LEDGER_UNBALANCED: DEFECT,
  REGISTRY_UNREACHABLE: 'start the registry, or set REGISTRY_URL',
  REGISTRY_REFUSED: 'look at REGISTRY_URL and API_TOKEN',
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'look at the brokers’ logs',
} satisfies Partial<Record<KafkaErrorCode | RegistryError['code'] | LedgerError['code'] | CoreFailure['code'], string>>
const OTHER_HELP = 'run plumbline status; if the broker is well, keep telemetry.raw and report the offset'

export interface Trouble {
  readonly partition: number
  /** Raw offset at which it is stuck. */
  readonly offset: number
  readonly cause: string
  readonly help: string
  readonly sinceMs: number
  /** Consecutive failures without getting past the offset. */
  readonly times: number
}

/** What helps where waiting does not: the record out of the way. */
export const skipCommand = (topic: string, partition: number, offset: number): string =>
  `plumbline partitions skip ${topic} ${partition} ${offset}`

const settingsOf = (partition: number): string => `settings of ${partition}`

export class Troubles {
  readonly #partitions = new Map<number, Trouble>()
  /** For the whole service, by kind. */
  readonly #general = new Map<string, readonly string[]>()
  /** Versions of settings that this process has not read, by partition. */
  readonly #claimedSince = new Map<number, { readonly version: number; readonly atMono: number }>()

  /** A partition has failed; returns how many times in a row. @param offset null if not known yet */
  failed(partition: number, offset: number | null, error: unknown, nowMs: number): Trouble {
    const former = this.#partitions.get(partition)
    const isSame = former !== undefined && (offset === null || offset <= former.offset)
    const trouble = {
      partition,
      offset: offset ?? former?.offset ?? -1,
      cause: messageOf(error),
      help: helpFor(error),
      sinceMs: isSame ? former.sinceMs : nowMs,
      times: isSame ? former.times + 1 : 1,
    }
    this.#partitions.set(partition, trouble)
    return trouble
  }

  /** The partition has reached `position`. */
  passed(partition: number, position: number): void {
    const trouble = this.#partitions.get(partition)
    if (trouble !== undefined && position > trouble.offset) this.#partitions.delete(partition)
  }

  forget(partition: number): void {
    this.#partitions.delete(partition)
  }

  /**
   * Whether a partition's settings may be replaced. Those of a version above the newest one that this process
   * has read may come from another process that is ahead; after a while they are treated as forged: a record that
   * somebody has put into raw. Raw is an administrative topic: anyone who may write to it can mute a detector.
   */
  isForeign(partition: number, topic: string, version: number, newest: number, nowMono: number): boolean {
    if (version <= newest) {
      this.areOurs(partition)
      return true
    }
    const claim = this.#claimedSince.get(partition)
    if (claim?.version !== version) this.#claimedSince.set(partition, { version, atMono: nowMono })
    if (claim?.version !== version || nowMono - claim.atMono < CLAIM_MS) return false
    this.report(settingsOf(partition), [
      `${topic}/${partition} works by settings of version ${version}, which topic config does not have (its newest is ${newest}): somebody has written them into ${topic}; they are overruled; restrict who may write there`,
    ])
    return true
  }

  /** A partition's settings are of a version that topic config has. */
  areOurs(partition: number): void {
    this.#general.delete(settingsOf(partition))
    this.#claimedSince.delete(partition)
  }

  /** Consecutive failures, for the wait before the next attempt. */
  times(partition: number): number {
    return this.#partitions.get(partition)?.times ?? 0
  }

  /** Replaces what is known of one kind. */
  report(kind: string, found: readonly string[]): void {
    this.#general.set(kind, found)
  }

  /** What keeps a partition from moving; null for nothing that has lasted. */
  of(partition: number): Trouble | null {
    const trouble = this.#partitions.get(partition)
    return trouble !== undefined && trouble.times >= NAMED_FROM ? trouble : null
  }

  /** One sentence each; empty when all is well. @param topic of the partitions */
  describe(topic: string): string[] {
    const stuck = [...this.#partitions.values()]
      .filter(({ times }) => times >= NAMED_FROM)
      .map(({ partition, offset, cause, help, sinceMs, times }) => {
        const place = offset < 0 ? `${topic}/${partition}` : `${topic}/${partition} at offset ${offset}`
        const skip = offset < 0 ? '' : `; if this record alone is the cause: ${skipCommand(topic, partition, offset)}`
        return `${place} has failed ${times} times since ${new Date(sinceMs).toISOString()}: ${cause}; ${help}${skip}`
      })
    return [...[...this.#general.values()].flat(), ...stuck]
  }
}

function helpFor(error: unknown): string {
  const known: Readonly<Record<string, string | undefined>> = HELP
  return (error instanceof PlumblineError ? known[error.code] : undefined) ?? OTHER_HELP
}
