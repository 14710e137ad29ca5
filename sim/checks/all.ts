// All checks of a run, by name. The audit is the one behind the command line, on the run's broker, logs and store, so the
// simulation tests the audit, too.
import { audit } from '../../audit/audit.ts'
import type { AuditReport } from '../../audit/core/report.ts'
import type { Kafka } from '../../platform/kafka/port.ts'
import { REPLICAS, replicaDir } from '../population.ts'
import type { World } from '../world.ts'
import { nothingIsInvented, nothingIsLost, nothingIsTwice, timeIncreases } from './clean.ts'
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

/** @returns what is wrong with a run that has settled */
export async function checkAll(world: World): Promise<Failure[]> {
  const { accepted, broker, config, scenario, confirmed } = world
  const stored = await readStored(config.SQLITE_FILE)
  const replicaDirs = Array.from({ length: REPLICAS }, (_, i) => replicaDir(world, i + 1))
  const evidence: Evidence = { accepted, broker, partitions: scenario.partitions, stored, confirmed, replicaDirs }
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
