// What a load-burst run must leave behind of the total order: a gapless sequence over everything in clean, and replicas
// that hold all of it, byte for byte identical.
import { setTimeout as delay } from 'node:timers/promises'
import { compareReplicas } from '../../cli/replica/diff.ts'
import type { Config } from '../../platform/config.ts'
import type { Kafka } from '../../platform/kafka/port.ts'
import { OrderCheck } from '../../platform/order/check.ts'
import { OrderReader } from '../../platform/order/order-reader.ts'
import { cachedSchemas } from '../../platform/codec/register.ts'
import { readState } from '../../sinks/replica/state.ts'
import { join } from 'node:path'

const POLL_MS = 250

export interface OrderAccount {
  readonly readings: number
  readonly extents: number
  /** What is wrong with the order; null: it is gapless. */
  readonly fault: string | null
  readonly replicas: number
  /** The first difference between replicas; null: none. */
  readonly difference: string | null
}

/**
 * @param readings number of readings in clean: the order must have a place for each
 * @param replicas their folders below `root`
 */
export async function accountForOrder(
  config: Config,
  kafka: Kafka,
  readings: number,
  root: string,
  replicas: readonly string[],
  timeoutMs: number,
): Promise<OrderAccount> {
  const deadline = performance.now() + timeoutMs
  const reader = await OrderReader.open({ kafka, fetchSchema: cachedSchemas(config.REGISTRY_URL, config.API_TOKEN) })
  try {
    while (((await reader.nextSequence()) ?? 0) < readings && performance.now() < deadline) await delay(POLL_MS)
    const check = new OrderCheck()
    let fault: string | null = null
    const { start, end } = await reader.log.range()
    await reader.log.scan(start, end, (record) => {
      fault ??= check.add(record)?.detail ?? null
      return fault === null
    })
    if (check.count !== readings) fault ??= `clean holds ${readings} readings and the order ${check.count}`
    const next = check.next ?? 0
    const isBehind = (id: string): boolean => (readState(join(root, id))?.next_sequence ?? 0) < next
    while (replicas.some(isBehind) && performance.now() < deadline) await delay(POLL_MS)
    const late = replicas.find(isBehind)
    const difference =
      late !== undefined
        ? `${late} has not reached sequence ${next}`
        : replicas.length < 2
          ? null
          : compareReplicas(root, replicas).difference
    return { readings: check.count, extents: check.records, fault, replicas: replicas.length, difference }
  } finally {
    await reader.close()
  }
}
