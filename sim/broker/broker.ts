// The simulator's Kafka: one broker in memory behind platform/kafka/port.ts, on a clock and a source of chance that the
// run brings along. It models what our code relies on, dangers of the real client included (see each part's opening);
// platform/kafka/port-contract.test-support.ts holds it to the real broker. This file is the handle that a run keeps:
// processes come from it, and it can cut them off, freeze them, restart and look into the logs.
import type { Clock } from '../../platform/clock.ts'
import type { Logger } from '../../platform/log.ts'
import type { Header } from '../../platform/kafka/record-batch-view.ts'
import type { Kafka } from '../../platform/kafka/port.ts'
import type { BrokerFaults, Script, ScriptedFault } from './faults.ts'

export interface SimBrokerOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly log?: Logger
  /** What is not named stays as in NO_FAULTS. */
  readonly faults?: Partial<BrokerFaults>
}

/** A record of the log as a check sees it. */
export interface DumpedRecord {
  readonly partition: number
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestampMs: number
  readonly headers: readonly Header[]
  readonly fate: 'committed' | 'aborted' | 'open'
}

export interface SimBroker {
  /** The port as one process has it; after `disconnect` of the same name, a new process. */
  kafka(client: string): Kafka
  /** kill -9: no call of it ever answers again; sessions run out, transactions stay open until fenced or timed out. */
  disconnect(client: string): void
  /** SIGSTOP: answers come after `unfreeze`, heartbeats stop. */
  freeze(client: string): void
  unfreeze(client: string): void
  /** Everything fails or waits for `downMs`; members must join again; data stay. Resolves when it is back. */
  restart(downMs: number): Promise<void>
  /** Every data record of a topic by partition and offset, with what became of its transaction. */
  dump(topic: string): DumpedRecord[]
  script(script: Script): ScriptedFault
  /** What the log cleaner leaves of the closed part of a topic. */
  compact(topic: string): void
  /** Retention: everything below `offset` is gone. */
  removeBefore(topic: string, partition: number, offset: number): void
}
