// All checks of a run, by name. The audit is the one behind the command line, on the run's broker, logs and store, so the
// simulation tests the audit, too.
import { audit } from '../../audit/audit.ts'
import type { AuditReport } from '../../audit/core/report.ts'
import type { Kafka } from '../../platform/kafka/port.ts'
import { REPLICAS, replicaDir } from '../population.ts'
import type { World } from '../world.ts'
import { nothingIsInvented, nothingIsLost, nothingIsTwice, timeIncreases, unreadableAreDeadLettered } from './clean.ts'
import { confirmedChangesHold, versionsGrowByOne } from './configuration.ts'
import { type Check, type Evidence, readStored } from './evidence.ts'
import { extentsCoverClean } from './extents.ts'
import { everyExtentIsInOrderOnce, orderIsGapless, viewsGrowByOne } from './order.ts'
import { replicasAreEqual, replicasHoldTheOrder } from './replicas.ts'
import { storeIsTheFold } from './store.ts'

const CHECKS: Readonly<Record<string, Check>> = {
  'nothing is lost': nothingIsLost,
  'nothing is twice': nothingIsTwice,
  'nothing is invented': nothingIsInvented,
  'time increases': timeIncreases,
  'every unreadable batch has a dead letter': unreadableAreDeadLettered,
  'extents cover clean': extentsCoverClean,
  'the order is gapless': orderIsGapless,
  'every extent is in the order once': everyExtentIsInOrderOnce,
  'views grow by one': viewsGrowByOne,
  'configuration versions grow by one': versionsGrowByOne,
  'confirmed configurations hold': confirmedChangesHold,
  'the replicas are equal': replicasAreEqual,
  'the replicas hold the order': replicasHoldTheOrder,
  'the store is the fold of clean and late': storeIsTheFold,
}

export interface Failure {
  readonly check: string
  readonly problem: string
}

/** What holds even where records were removed before they were read. */
const REMAINS = [
  'nothing is twice',
  'nothing is invented',
  'time increases',
  'extents cover clean',
  'the order is gapless',
]

/** @returns what is wrong with a run that has stopped since unread records were removed */
export function checkRemains(world: World): Failure[] {
  const evidence = evidenceOf(world, new Map())
  return REMAINS.flatMap((check) => CHECKS[check](evidence).map((problem) => ({ check, problem })))
}

const evidenceOf = (world: World, stored: Evidence['stored']): Evidence => {
  const { accepted, broker, scenario, confirmed } = world
  const replicaDirs = Array.from({ length: REPLICAS }, (_, i) => replicaDir(world, i + 1))
  return { accepted, broker, partitions: scenario.partitions, stored, confirmed, replicaDirs }
}

/** @returns what is wrong with a run that has settled */
export async function checkAll(world: World): Promise<Failure[]> {
  const evidence = evidenceOf(world, await readStored(world.config.SQLITE_FILE))
  const failures = Object.entries(CHECKS).flatMap(([check, run]) =>
    run(evidence).map((problem) => ({ check, problem })),
  )
  const { problems } = await auditOf(world)
  return [...failures, ...problems.map(({ code, message }) => ({ check: 'audit', problem: `${code}: ${message}` }))]
}

export const auditOf = (world: World, kafka: Kafka = world.observer()): Promise<AuditReport> =>
  audit(world.config, kafka, {
    fetchSchema: world.registry.fetchSchema,
    sleep: (ms) => world.clock.sleep(ms),
    deep: true,
  })
