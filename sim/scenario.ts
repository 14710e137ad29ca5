// What a seed means: how large the world is, how its parts are configured, and which faults it meets how often. Seeds
// differ a lot, since each has only some kinds of faults, at its own rates: a frequent fault would mask other bugs.
import type { BrokerFaults } from './broker/faults.ts'
import { type FleetSettings, fleetWith } from '../producers/nodes/options.ts'
import { chance, pick, type Random, randomOf, whole } from './random.ts'
import { NO_STORE_FAULTS, type StoreFaults } from './services/sink.ts'

/** What happens to the world from outside, at moments drawn from the seed. */
export const CHAOS = [
  'kill',
  'kill-at-request',
  'stop',
  'freeze',
  'restart-broker',
  'power-cut',
  'registry-away',
  'clock-step',
  'compact',
  'restore-logs',
] as const
export type Chaos = (typeof CHAOS)[number]

/**
 * What third parties do to raw:
 * - `damaged-batches`: record batches that nobody can read (foreign.ts)
 * - `other-schemas`: writers' schemas with fields added, removed, reordered or of narrower types, in mid stream (foreign.ts)
 * - `other-partitions`: a second copy of a reading in a partition that is not its key's (foreign.ts)
 * - `open-transactions`: transactions that stay open for seconds, and then commit, abort, or are abandoned (transactor.ts)
 */
export const HABITS = ['damaged-batches', 'other-schemas', 'other-partitions', 'open-transactions'] as const
export type Habit = (typeof HABITS)[number]

/** Topics of which retention may remove what their next reader has not read: raw before refine, and so on (cut.ts). */
export const CUTS = ['raw', 'clean', 'extents'] as const
export type Cut = (typeof CUTS)[number]

export interface Scenario {
  readonly seed: number
  readonly partitions: number
  readonly refines: number
  readonly sinks: number
  readonly hasForeign: boolean
  /** Whether the configuration changes at run time. */
  readonly hasOperator: boolean
  /** How long the producers sample while faults happen, ms. */
  readonly loadMs: number
  /** Settings that differ from the defaults, as environment variables. */
  readonly settings: Readonly<Record<string, string>>
  readonly fleet: FleetSettings
  readonly chaos: readonly Chaos[]
  readonly habits: readonly Habit[]
  /** Unread records of this topic are removed; null: of none. Such a run must end with a loud stop. */
  readonly cut: Cut | null
  /** Mean time between two of them, ms. */
  readonly chaosEveryMs: number
  /** Probability at each step of a commit that its process is killed right there. */
  readonly stepKill: number
  readonly broker: Partial<BrokerFaults>
  readonly store: StoreFaults
}

/** Each of these draws from a stream of its own, so that what was there before it stays as it was in a seed. */
const OWN_STREAM: readonly Chaos[] = ['compact', 'restore-logs']
const HABIT = 0.2
const CUT = 0.1

/** Half of the seeds have the fault, at a rate up to `most`. */
const rate = (random: Random, most: number): number => (chance(random, 0.5) ? random() * most : 0)

export function scenarioOf(seed: number): Scenario {
  const random = randomOf(seed, 'scenario')
  const chaos = CHAOS.filter((kind) => chance(OWN_STREAM.includes(kind) ? randomOf(seed, kind) : random, 0.4))
  const cutting = randomOf(seed, 'cut')
  return {
    seed,
    partitions: whole(random, 1, 3),
    refines: whole(random, 1, 3),
    sinks: chance(random, 0.3) ? 2 : 1,
    hasForeign: chance(random, 0.5),
    hasOperator: chance(random, 0.4),
    loadMs: whole(random, 3_000, 7_000),
    ...settingsOf(random, seed),
    chaos: chaos.length > 0 ? chaos : ['kill'],
    habits: HABITS.filter((habit) => chance(randomOf(seed, habit), HABIT)),
    cut: chance(cutting, CUT) ? pick(cutting, CUTS) : null,
    chaosEveryMs: whole(random, 400, 2_500),
    stepKill: rate(random, 0.01),
    broker: {
      latencyMsMin: 0.2,
      latencyMsMax: pick(random, [2, 5, 30]),
      loseAnswer: rate(random, 0.02),
      reject: rate(random, 0.02),
      delay: rate(random, 0.01),
      crash: rate(random, 0.1),
      markerMsMax: pick(random, [2, 20, 200]),
      requestTimeoutMs: 2_000,
    },
    store: chance(random, 0.4)
      ? NO_STORE_FAULTS
      : {
          outage: rate(random, 0.2),
          stall: rate(random, 0.05),
          lostAnswer: rate(random, 0.05),
          killBefore: rate(random, 0.03),
          killAfter: rate(random, 0.03),
        },
  }
}

function settingsOf(random: Random, seed: number): Pick<Scenario, 'settings' | 'fleet'> {
  const fleet = {
    seed,
    nodes: whole(random, 1, 2),
    sensors: whole(random, 2, 5),
    rateHz: whole(random, 4, 15),
    outOfOrder: pick(random, [0, 0.02, 0.1]),
    duplicates: pick(random, [0, 0.02]),
    anomalies: 0.01,
  }
  const logs = {
    WAL_SEGMENT_BYTES: String(pick(random, [4_096, 65_536])),
    WAL_MAX_BYTES: '1048576',
    WAL_FSYNC_MS: String(pick(random, [0, 100])),
    RING_CAPACITY: String(pick(random, [16, 1_000])),
  }
  const dropProbability = pick(random, [0, 0.02])
  const settings = {
    ...logs,
    REFINE_COMMIT_MS: String(pick(random, [50, 100, 300])),
    REFINE_GAP_TIMEOUT_MS: '600',
    REFINE_HOLD_BACK_MS: '500',
    REFINE_SESSION_MS: '3000',
    REFINE_SNAPSHOT_MS: String(pick(random, [300, 2_000, 10_000])),
    SEQUENCER_SESSION_MS: '3000',
    SINK_LINGER_MS: '100',
    SINK_WRITE_TIMEOUT_MS: '1000',
    DETECTOR_WINDOW: '50',
    DETECTOR_MIN_SAMPLES: '10',
    LOG_LEVEL: 'error',
  }
  return { settings, fleet: fleetWith({ ...fleet, dropProbability }) }
}
