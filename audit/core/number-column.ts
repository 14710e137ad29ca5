// A growable column of numbers, 8 bytes each: for what an audit keeps per transaction.
export class NumberColumn {
  #values = new Float64Array(16)
  length = 0

  push(value: number): void {
    if (this.length === this.#values.length) {
      const grown = new Float64Array(2 * this.length)
      grown.set(this.#values)
      this.#values = grown
    }
    this.#values[this.length] = value
    this.length += 1
  }

  at(i: number): number {
    return this.#values[i]
  }
}
