// Numbers as people and files write them: decimal digits, a point, an exponent. Number() takes more, which is then a
// mistake: 0x10 for 16, a blank for 0, Infinity.

const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/

/** null when the text is not a finite decimal number. */
export function parseDecimal(text: string): number | null {
  const trimmed = text.trim()
  const value = DECIMAL.test(trimmed) ? Number(trimmed) : NaN
  return Number.isFinite(value) ? value : null
}
