// The z-score of one metric over a sliding window, O(1) per sample. Mean and sum of squared distances are updated by
// Welford's recurrence, extended to a window that also forgets its oldest sample; once per window length both are
// recomputed from the samples, so rounding cannot build up, and also when the sum has fallen far below its peak: an
// outlier that leaves takes with it the digits of all that stay. Samples are kept as float32 distances from a reference
// (the first value), which halves the state and keeps their resolution where a large mean hides a small spread.
// Source: B. P. Welford, "Note on a method for calculating corrected sums of squares and products", Technometrics 4
// (1962); T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance", Am. Stat. 37 (1983).

/** A window grows from this many samples by doubling: most of many sensors never fill theirs. */
const INITIAL_SAMPLES = 16
/** A double has 16 digits: when m2 falls to this share of its peak, some 8 of them are still true. */
const CANCELLED = 1e-8

export class MetricWindow {
  readonly reference: number
  mean = 0
  m2 = 0
  count = 0
  /** Samples since mean and m2 were last recomputed. */
  slides = 0
  /** Greatest m2 since then. */
  peak = 0
  #samples: Float32Array = new Float32Array(INITIAL_SAMPLES)
  /** Place of the oldest sample. */
  #head = 0

  constructor(reference: number) {
    this.reference = reference
  }

  /**
   * How many standard deviations `value` is from the window's mean; the value itself is not yet in the window.
   * @returns 0 while the window has fewer than `minSamples` samples or no spread
   */
  z(value: number, minSamples: number): number {
    if (this.count < minSamples) return 0
    const deviation = this.stddev()
    return deviation > 0 ? (Math.fround(value - this.reference) - this.mean) / deviation : 0
  }

  /** Sample standard deviation. */
  stddev(): number {
    return this.count < 2 ? 0 : Math.sqrt(this.m2 / (this.count - 1))
  }

  /** Mean of the values (not of the distances). */
  center(): number {
    return this.reference + this.mean
  }

  /** Takes a value in; the oldest one leaves when the window has reached `size` samples. */
  push(value: number, size: number): void {
    const sample = Math.fround(value - this.reference)
    if (this.count < size) this.#append(sample, size)
    else this.#slide(sample)
  }

  /** The samples, oldest first, as distances from the reference. */
  samples(): Float32Array {
    const ordered = new Float32Array(this.count)
    for (let i = 0; i < this.count; i += 1) ordered[i] = this.#samples[(this.#head + i) % this.#samples.length]
    return ordered
  }

  /** The window of a snapshot. */
  static restore(state: {
    reference: number
    mean: number
    m2: number
    slides: number
    peak: number
    samples: Float32Array
  }): MetricWindow {
    const window = new MetricWindow(state.reference)
    window.mean = state.mean
    window.m2 = state.m2
    window.slides = state.slides
    window.peak = state.peak
    window.count = state.samples.length
    window.#samples = new Float32Array(Math.max(INITIAL_SAMPLES, state.samples.length))
    window.#samples.set(state.samples)
    return window
  }

  /** The window with at most the `size` newest samples. */
  resized(size: number): MetricWindow {
    if (this.count <= size) return this
    const resized = MetricWindow.restore({
      reference: this.reference,
      mean: 0,
      m2: 0,
      slides: 0,
      peak: 0,
      samples: this.samples().subarray(this.count - size),
    })
    resized.#recompute()
    return resized
  }

  #append(sample: number, size: number): void {
    if (this.count === this.#samples.length) this.#grow(size)
    this.#samples[(this.#head + this.count) % this.#samples.length] = sample
    this.count += 1
    const distance = sample - this.mean
    this.mean += distance / this.count
    this.m2 += distance * (sample - this.mean)
    if (this.m2 > this.peak) this.peak = this.m2
  }

  #slide(sample: number): void {
    const samples = this.#samples
    const tail = (this.#head + this.count) % samples.length
    const oldest = samples[this.#head]
    samples[tail] = sample
    this.#head = (this.#head + 1) % samples.length
    this.slides += 1
    if (this.slides >= this.count) {
      this.#recompute()
      return
    }
    const former = this.mean
    this.mean += (sample - oldest) / this.count
    this.m2 = Math.max(0, this.m2 + (sample - oldest) * (sample - this.mean + (oldest - former)))
    if (this.m2 > this.peak) this.peak = this.m2
    else if (this.m2 < this.peak * CANCELLED) this.#recompute()
  }

  /** Two passes over the samples: exact to rounding. */
  #recompute(): void {
    const samples = this.#samples
    let sum = 0
    for (let i = 0; i < this.count; i += 1) sum += samples[(this.#head + i) % samples.length]
    this.mean = sum / this.count
    let m2 = 0
    for (let i = 0; i < this.count; i += 1) {
      const distance = samples[(this.#head + i) % samples.length] - this.mean
      m2 += distance * distance
    }
    this.m2 = m2
    this.slides = 0
    this.peak = m2
  }

  #grow(size: number): void {
    const larger = new Float32Array(Math.min(size, this.#samples.length * 2))
    larger.set(this.samples())
    this.#samples = larger
    this.#head = 0
  }
}
