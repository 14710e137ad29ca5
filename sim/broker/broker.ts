// The simulator's Kafka: one broker in memory behind platform/kafka/port.ts, on a clock and a source of randomness that
// the run provides. It models what our code relies on, dangers of the real client included (see each file's header);
// platform/kafka/port-contract.test-support.ts holds it to the real broker. This file is the handle that a run keeps:
// it hands out processes' ports, and can cut processes off, freeze them, restart the broker and inspect the logs.
import type { Clock } from '../../platform/clock.ts'
import type { Logger } from '../../platform/log.ts'
import type { Kafka, TopicPartition } from '../../platform/kafka/port.ts'
import { type Header, readRecordBatch } from '../../platform/kafka/record-batch/record-batch.ts'
import { SimAdmin } from './admin.ts'
import { appendedAtMs } from './batch.ts'
import { compactLog } from './compaction.ts'
import { SimGroupConsumer } from './consumer.ts'
import { type BrokerFaults, FaultPlan, NO_FAULTS, type Script, type ScriptedFault } from './faults.ts'
import { Link } from './link.ts'
import type { PartitionLog } from './log.ts'
import { SimProducer, SimTransactionalProducer } from './producer.ts'
import { SimRangeReader } from './reader.ts'
import { Server } from './server.ts'

export interface SimBrokerOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly log?: Logger
  /** Anything omitted stays as in NO_FAULTS. */
  readonly faults?: Partial<BrokerFaults>
}

/** A log record as a check sees it. */
export interface DumpedRecord {
  readonly partition: number
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestampMs: number
  readonly headers: readonly Header[]
  readonly fate: 'committed' | 'aborted' | 'open'
  /** Why the batch cannot be read; the record then stands for all of it, at its last offset. */
  readonly problem: string | null
}

export class SimBroker {
  readonly #server: Server
  readonly #log: Logger | undefined
  readonly #links = new Map<string, Link>()

  constructor({ clock, random, log, faults }: SimBrokerOptions) {
    this.#log = log
    this.#server = new Server(clock, random, new FaultPlan({ ...NO_FAULTS, ...faults }, random))
  }

  /** One process's port; after `disconnect` of the same name, a new process's. */
  kafka(client: string): Kafka {
    const link = this.#links.get(client) ?? new Link(client, this.#server)
    this.#links.set(client, link)
    return {
      admin: async () => new SimAdmin(await connected(link)),
      producer: async () => new SimProducer(await connected(link)),
      transactionalProducer: async (options) => new SimTransactionalProducer(await connected(link), options),
      groupConsumer: (options) => new SimGroupConsumer(link, options),
      rangeReader: async () => new SimRangeReader(await connected(link)),
    }
  }

  /** kill -9: none of its calls is ever answered; sessions expire, transactions stay open until fenced or timed out. */
  disconnect(client: string): void {
    this.#log?.debug({ client }, 'a process is cut off')
    this.#links.get(client)?.kill()
    this.#links.delete(client)
  }

  /** SIGSTOP: answers come after `unfreeze`, heartbeats stop; what was sent before arrives. */
  freeze(client: string): void {
    this.#log?.debug({ client }, 'a process is frozen')
    this.#links.get(client)?.freeze()
  }

  unfreeze(client: string): void {
    this.#links.get(client)?.unfreeze()
  }

  /** Everything fails or waits for `downMs`; members must rejoin; data survive. Resolves when it is back up. */
  async restart(downMs: number): Promise<void> {
    this.#log?.debug({ downMs }, 'the broker restarts')
    await this.#server.restart(downMs)
  }

  /** What a group has committed of a partition; null if nothing. */
  committed(group: string, at: TopicPartition): number | null {
    return this.#server.group(group).committed(at)?.offset ?? null
  }

  /** When batches of data arrived that reach to `from` or beyond, in order; aborted ones are left out. */
  arrivals(at: TopicPartition, from: number): { offset: number; atMs: number; isOpen: boolean }[] {
    const log = this.#server.topics.log(at)
    return log.batches
      .filter((batch) => !batch.control && batch.lastOffset >= from && log.fateOf(batch) !== 'aborted')
      .map((batch) => ({
        offset: batch.lastOffset,
        atMs: appendedAtMs(batch.bytes),
        isOpen: log.fateOf(batch) === 'open',
      }))
  }

  /** Offsets that are kept, and up to which they can be read. */
  range(at: TopicPartition): { start: number; end: number; stable: number } {
    const { start, end, lastStableOffset: stable } = this.#server.topics.log(at)
    return { start, end, stable }
  }

  /** A bug to plant: a reader that asks for what is no longer kept gets what is left, and does not notice. */
  hideRemovals(): void {
    this.#server.topics.hidesRemovals = true
  }

  script(script: Script): ScriptedFault {
    return this.#server.plan.script(script)
  }

  /** Sets these probabilities from now on; omitted ones stay. Lets a run end without faults. */
  setFaults(faults: Partial<BrokerFaults>): void {
    this.#server.plan.set(faults)
  }

  /** Every data record of a topic by partition and offset, those that were removed included, with its transaction's outcome. */
  dump(topic: string): DumpedRecord[] {
    return this.#server.topics.topic(topic).partitions.flatMap(dumpLog)
  }

  /** What the log cleaner leaves of the closed part of a topic. */
  compact(topic: string): void {
    for (const log of this.#server.topics.topic(topic).partitions) compactLog(log)
  }

  /** A disk fault: one byte of the last batch is changed. */
  damage(topic: string, partition: number): void {
    const { batches } = this.#server.topics.log({ topic, partition })
    const { bytes } = batches.findLast(({ control }) => !control)!
    bytes[bytes.length - 1] ^= 0xff
  }

  /** A careless tool: the batch that holds the record is gone, and nothing else. */
  removeBatch(topic: string, partition: number, offset: number): void {
    const log = this.#server.topics.log({ topic, partition })
    log.replace(log.batches.filter(({ baseOffset, lastOffset }) => offset < baseOffset || offset > lastOffset))
  }

  /** Retention: everything below `offset` is gone. */
  removeBefore(topic: string, partition: number, offset: number): void {
    this.#server.topics.log({ topic, partition }).removeBefore(offset)
  }
}

async function connected(link: Link): Promise<Link> {
  await link.call({ call: 'Metadata', patient: true }, () => undefined)
  return link
}

function dumpLog(log: PartitionLog): DumpedRecord[] {
  return [...log.removed, ...log.batches]
    .filter(({ control }) => !control)
    .flatMap((stored) => {
      const fate = log.fateOf(stored)
      const batch = readRecordBatch(stored.bytes)
      return Array.from({ length: batch.count }, (_, i) => ({
        partition: log.partition,
        offset: batch.offset(i),
        key: batch.key(i),
        value: batch.value(i),
        timestampMs: batch.timestamp(i),
        headers: batch.headers(i),
        fate,
        problem: batch.problem,
      }))
    })
}
