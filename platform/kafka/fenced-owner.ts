// One role (a partition, or the one active process of a group) that has one owner at a time, fenced by a transactional
// producer. The rules that keep two owners apart are here, whatever the role is:
//   - one attempt to acquire at a time: the next waits for the previous one, even if that is no longer wanted
//   - after an error, only once the broker has since confirmed this member: a zombie must not fence its successor
//   - what was acquired while the group was rearranged is closed, and acquired again if the role is still this member's
//   - when in doubt the owner is dropped and closed; it is never repaired
import { backoffMs, type BackoffOptions } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import { pause } from '../retry.ts'

/** Poll interval for the broker's confirmation of the member, ms. */
const POLL_MS = 50

/** What a member of a group knows of its membership. Shared by all the roles of the member. */
export class Membership {
  readonly #clock: Clock
  #generation = 0
  #confirmedAt = -Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get generation(): number {
    return this.#generation
  }

  /** Whether the group has assigned this member its share; it may be empty. */
  get hasJoined(): boolean {
    return this.#generation > 0
  }

  /** The group has settled, which confirms the member, too. */
  settle(generation: number): void {
    this.#generation = generation
    this.confirm()
  }

  /** The broker knows this member. */
  confirm(): void {
    this.#confirmedAt = this.#clock.mono()
  }

  /** Whether the broker has confirmed the member later than `mono`. */
  isConfirmedSince(mono: number): boolean {
    return this.#confirmedAt > mono
  }
}

export interface Owner {
  /** Makes the first commit, if one is due. */
  begin(): Promise<void>
  close(): Promise<void>
}

export interface FencedOwnerOptions<T extends Owner> {
  readonly clock: Clock
  readonly random: () => number
  readonly membership: Membership
  readonly backoff: BackoffOptions
  /** Fences the former owner and restores its state; commits nothing yet. */
  readonly acquire: () => Promise<T>
  /** Part of the attempt: the next one waits for it. Must not reject. */
  readonly onOwned: (owner: T) => void | Promise<void>
  /** The owner has been given up; runs before it is closed. */
  readonly onDropped?: (owner: T) => void
  /** An attempt has failed and another one follows. */
  readonly onFailure: (error: unknown) => void
  /** Trying again cannot help. */
  readonly isFatal: (error: unknown) => boolean
  /** The role stays without an owner. */
  readonly onFatal: (error: Error) => void
  /** Whether the owner covers everything assigned; always true if not given. */
  readonly isComplete?: (owner: T) => boolean
  /** Wait before the first try of an attempt, ms; 0 for none. */
  readonly delayMs?: () => number
}

type State<T> =
  | { readonly kind: 'idle' }
  /** Waiting for a confirmation or the next try, or restoring. */
  | { readonly kind: 'acquiring'; readonly attempt: AbortController }
  | { readonly kind: 'owned'; readonly owner: T }

export class FencedOwner<T extends Owner> {
  readonly #options: FencedOwnerOptions<T>
  #state: State<T> = { kind: 'idle' }
  #isEnding = false
  /** The attempt that runs or ran last: the next one waits for it. */
  #attempted: Promise<void> = Promise.resolve()
  /** The owner that was dropped last. */
  #closed: Promise<void> = Promise.resolve()

  constructor(options: FencedOwnerOptions<T>) {
    this.#options = options
  }

  get state(): 'idle' | 'acquiring' | 'owned' {
    return this.#state.kind
  }

  /** The owner, or null while there is none. */
  get owner(): T | null {
    return this.#state.kind === 'owned' ? this.#state.owner : null
  }

  /** The role is this member's: acquires it, unless in progress or done. */
  acquire(): void {
    if (this.#state.kind === 'idle') this.#start(-Infinity)
  }

  /** The role is no longer this member's. An open transaction ends by itself, or is fenced by the successor. */
  drop(): void {
    const state = this.#state
    this.#state = { kind: 'idle' }
    if (state.kind === 'acquiring') state.attempt.abort()
    if (state.kind !== 'owned') return
    this.#options.onDropped?.(state.owner)
    this.#closed = state.owner.close().catch(() => undefined)
  }

  /** What the owner has committed is in doubt: it is dropped, and reacquired after a newer confirmation. */
  doubt(): void {
    this.drop()
    this.#start(this.#options.clock.mono())
  }

  /** Stops acquiring; what is owned may still finish its work. */
  end(): void {
    this.#isEnding = true
    if (this.#state.kind === 'acquiring') this.drop()
  }

  /** Stops and drops; resolves once the last attempt and the last owner are gone. */
  async close(): Promise<void> {
    this.end()
    this.drop()
    await this.#attempted
    await this.#closed
  }

  #start(since: number): void {
    if (this.#isEnding) return
    const attempt = new AbortController()
    this.#state = { kind: 'acquiring', attempt }
    this.#attempted = this.#attempted
      .then(() => this.#attempt(attempt.signal, since))
      .catch((error: unknown) => this.#options.onFatal(error instanceof Error ? error : new Error(messageOf(error))))
  }

  /**
   * @param unwanted fires when this attempt should no longer acquire the role
   * @param since mono time of the error that made this necessary; a confirmation must be newer
   */
  async #attempt(unwanted: AbortSignal, since: number): Promise<void> {
    const { clock, random, membership, backoff, onOwned, onFailure, isFatal, delayMs } = this.#options
    const delay = delayMs?.() ?? 0
    if (delay > 0 && !unwanted.aborted) await pause(delay, unwanted, clock)
    // Not `retry`: an attempt may fail without an error, and each waits for a confirmation newer than the last failure.
    for (let tries = 0; !unwanted.aborted; tries += 1) {
      while (!unwanted.aborted && !membership.isConfirmedSince(since)) await pause(POLL_MS, unwanted, clock)
      if (unwanted.aborted) return
      try {
        const owner = await this.#try(unwanted)
        if (owner !== null) {
          this.#state = { kind: 'owned', owner }
          return await onOwned(owner)
        }
      } catch (error) {
        if (unwanted.aborted) return
        if (isFatal(error)) throw error
        since = clock.mono()
        onFailure(error)
      }
      await pause(backoffMs(backoff, tries, random), unwanted, clock)
    }
  }

  /** Null when the group has been rearranged meanwhile: another member may own the role by now. */
  async #try(unwanted: AbortSignal): Promise<T | null> {
    const { membership, acquire, isComplete } = this.#options
    const { generation } = membership
    const owner = await acquire()
    try {
      if (!unwanted.aborted && generation === membership.generation) {
        await owner.begin()
        if (!unwanted.aborted && (isComplete?.(owner) ?? true)) return owner
      }
    } catch (error) {
      await owner.close().catch(() => undefined)
      throw error
    }
    await owner.close().catch(() => undefined)
    return null
  }
}
