// Decides when which sensor of a node is sampled (MI-1). The sensors take turns at even distances, so one counter is
// the whole schedule, however many they are. Each sample carries a monotonic time and an event time that strictly
// increases per sensor whatever the wall clock does.
import { burstFactor, type BurstOptions } from './bursts.ts'
import { SteadyClock } from './steady-clock.ts'

export interface SamplerOptions {
  readonly sensors: number
  readonly rateHz: number
  readonly bursts: BurstOptions
}

/** Event time is whole milliseconds and strictly increases: no sensor can have more samples in a second. */
const MAX_RATE_HZ = 1000
/** A process that was held up catches up this far; what is older was never sampled. */
const CATCH_UP_MS = 1000

export class Sampler {
  readonly #options: SamplerOptions
  #rateHz: number
  readonly #clock: SteadyClock
  readonly #start: number
  readonly #lastTs: Float64Array
  /** Monotonic time of the next sample, and whose turn it is. */
  #due: number
  /** Monotonic time of the sample before it; the start where there was none. */
  #last: number
  #turn = 0
  #missed = 0

  /**
   * @param monoMs now, monotonic
   * @param wallMs now, by the wall clock
   * @param floorMs the last event time that this node gave before a restart; 0 for none
   */
  constructor(options: SamplerOptions, monoMs: number, wallMs: number, floorMs: number) {
    this.#options = options
    this.#rateHz = options.rateHz
    this.#clock = new SteadyClock(monoMs, wallMs, floorMs)
    this.#start = monoMs
    this.#due = monoMs
    this.#last = monoMs
    this.#lastTs = new Float64Array(options.sensors).fill(floorMs)
  }

  /** Sum of the steps of the wall clock, ms. */
  get clockStepMs(): number {
    return this.#clock.stepsMs
  }

  /** Samples that were never taken because the process was held up or paused. */
  get missed(): number {
    return this.#missed
  }

  /**
   * Takes the samples that have become due.
   * @param emit called for each with the sensor's number, event time and monotonic time since the start, ms
   */
  run(monoMs: number, wallMs: number, emit: (sensor: number, ts: number, monoMs: number) => void): void {
    this.#clock.observe(monoMs, wallMs)
    if (monoMs - this.#due > CATCH_UP_MS) this.skip(monoMs)
    const { sensors } = this.#options
    if (sensors === 0) return
    while (this.#due <= monoMs) {
      const sensor = this.#turn
      const ts = Math.max(Math.round(this.#clock.at(this.#due)), this.#lastTs[sensor] + 1)
      this.#lastTs[sensor] = ts
      emit(sensor, ts, this.#due - this.#start)
      this.#turn = sensor + 1 === sensors ? 0 : sensor + 1
      this.#last = this.#due
      this.#due += this.#step()
    }
  }

  /**
   * Samples at another rate from now on (MI-5). The wait under way is measured again: from the last sample, so that
   * neither a slow rate holds up the change to a quick one, nor a change brings samples closer together than either rate.
   */
  setRate(rateHz: number, monoMs: number): void {
    if (rateHz === this.#rateHz || this.#options.sensors === 0) return
    this.#rateHz = rateHz
    // What is due already stays due; what would have been due in the meantime was not sampled at that rate.
    if (this.#due > monoMs) this.#due = Math.max(monoMs, this.#last + this.#step())
  }

  /** Takes no samples until now: the node is paused. */
  skip(monoMs: number): void {
    if (monoMs <= this.#due) return
    this.#missed += Math.floor((monoMs - this.#due) / this.#step())
    this.#due = monoMs
  }

  /** Time between two samples of the node, ms. */
  #step(): number {
    const { sensors, bursts } = this.#options
    const rate = Math.min(MAX_RATE_HZ, this.#rateHz * burstFactor(bursts, this.#due - this.#start))
    return 1000 / (rate * sensors)
  }
}
