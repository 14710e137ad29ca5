// What may go wrong between a process and the broker: at random, with probabilities given per run, or scripted, once,
// where a test wants it. A scripted fault knows whether it fired, so that no test passes because its fault never occurred.

/** Requests by their protocol names; faults and scripts refer to them. */
export type CallName =
  | 'Produce'
  | 'InitProducerId'
  | 'AddPartitionsToTxn'
  | 'AddOffsetsToTxn'
  | 'TxnOffsetCommit'
  | 'EndTxn'
  | 'OffsetCommit'
  | 'OffsetFetch'
  | 'Fetch'
  | 'JoinGroup'
  | 'SyncGroup'
  | 'Heartbeat'
  | 'LeaveGroup'
  | 'ListOffsets'
  | 'CreateTopics'
  | 'Metadata'

/**
 * - `lose-answer`: the request is executed, the caller is told that it failed
 * - `reject`: the request is not executed and the caller is told so with a retriable error
 * - `delay`: the caller is told that it failed; the request is executed later, unless its epoch has passed by then
 * - `crash`: the consumer that asked ends for good (JoinGroup only)
 */
export type FaultKind = 'lose-answer' | 'reject' | 'delay' | 'crash'

/** Probabilities are per request and apply to those that change something; the client itself retries reads. */
export interface BrokerFaults {
  readonly latencyMsMin: number
  readonly latencyMsMax: number
  readonly loseAnswer: number
  readonly reject: number
  readonly delay: number
  /** Per join: the client stops for good, whatever its retries (a lost FindCoordinator). */
  readonly crash: number
  /** Longest time from the end of a transaction to its markers in a log or group, ms. */
  readonly markerMsMax: number
  /** A request without an answer is abandoned after this long, ms; as in platform/kafka/kafkajs/client.ts. */
  readonly requestTimeoutMs: number
}

export const NO_FAULTS: BrokerFaults = {
  latencyMsMin: 0.1,
  latencyMsMax: 5,
  loseAnswer: 0,
  reject: 0,
  delay: 0,
  crash: 0,
  markerMsMax: 10,
  requestTimeoutMs: 9_000,
}

export interface Script {
  readonly when: { readonly call: CallName; readonly client?: string; readonly topic?: string }
  readonly then: FaultKind
  /** Matching requests to let through before it fires; default 0. */
  readonly skip?: number
  /** Called when it fires, at the moment the request leaves its process: for a kill between two steps. */
  readonly onFire?: () => void
}

/** A fault that fires once. */
export class ScriptedFault {
  readonly script: Script
  #skip: number
  #fired = false

  constructor(script: Script) {
    this.script = script
    this.#skip = script.skip ?? 0
  }

  get fired(): boolean {
    return this.#fired
  }

  /** @throws Error where it never fired */
  assertFired(): void {
    if (!this.#fired) throw new Error(`the scripted fault never fired: ${JSON.stringify(this.script)}`)
  }

  /** Whether this is the request to hit. */
  fires(call: CallName, client: string, topics: readonly string[]): boolean {
    const { when } = this.script
    if (this.#fired || when.call !== call) return false
    if (when.client !== undefined && when.client !== client) return false
    if (when.topic !== undefined && !topics.includes(when.topic)) return false
    if (this.#skip > 0) {
      this.#skip -= 1
      return false
    }
    this.#fired = true
    return true
  }
}

const WRITES = new Set<CallName>([
  'Produce',
  'InitProducerId',
  'AddPartitionsToTxn',
  'AddOffsetsToTxn',
  'TxnOffsetCommit',
  'EndTxn',
  'OffsetCommit',
])

export class FaultPlan {
  #faults: BrokerFaults
  readonly #random: () => number
  readonly #scripts: ScriptedFault[] = []

  constructor(faults: BrokerFaults, random: () => number) {
    this.#faults = faults
    this.#random = random
  }

  set(faults: Partial<BrokerFaults>): void {
    this.#faults = { ...this.#faults, ...faults }
  }

  script(script: Script): ScriptedFault {
    const fault = new ScriptedFault(script)
    this.#scripts.push(fault)
    return fault
  }

  /** What happens to this request; null: nothing. */
  pick(call: CallName, client: string, topics: readonly string[]): FaultKind | null {
    const scripted = this.#scripts.find((fault) => fault.fires(call, client, topics))
    if (scripted !== undefined) {
      scripted.script.onFire?.()
      return scripted.script.then
    }
    const { loseAnswer, reject, delay, crash } = this.#faults
    if (call === 'JoinGroup') return crash > 0 && this.#random() < crash ? 'crash' : null
    if (!WRITES.has(call) || loseAnswer + reject + delay === 0) return null
    const chance = this.#random()
    if (chance < loseAnswer) return 'lose-answer'
    if (chance < loseAnswer + reject) return 'reject'
    return chance < loseAnswer + reject + delay ? 'delay' : null
  }

  /** One-way latency of a message, ms. */
  latencyMs(): number {
    const { latencyMsMin, latencyMsMax } = this.#faults
    return (latencyMsMin + this.#random() * (latencyMsMax - latencyMsMin)) / 2
  }

  /** How long the caller waits for an answer that never comes: until the connection breaks, or the timeout. */
  givenUpAfterMs(): number {
    return this.#random() < 0.5 ? 1 + this.#random() * 200 : this.#faults.requestTimeoutMs
  }

  /** How long after its caller gave up a delayed request arrives. */
  lateByMs(): number {
    return this.#random() * 2_000
  }

  markerMs(): number {
    return this.#random() * this.#faults.markerMsMax
  }
}
