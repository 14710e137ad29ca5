// JSON that loses nothing of its numbers. A schema's text is its identity: 1.0 and 1 are different defaults, and one
// beyond 2^53 must not be rounded on its way through the registry. Fractions are written as Java prints them, so that
// 1e3 and 1000.00 yield the same text, the one that Confluent's registry would keep.

/** A number whose text is not what JavaScript would print; JSON.stringify puts it out unchanged. */
interface RawNumber {
  readonly rawJSON: string
}

interface JsonWithSource {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown
  rawJSON(text: string): RawNumber
  isRawJSON(value: unknown): value is RawNumber
}

/** ES2026, in Node since 21; not yet in TypeScript's library. */
const exact = JSON as unknown as JsonWithSource

export type JsonObject = Readonly<Record<string, unknown>>

/** @throws SyntaxError as JSON.parse does, and for a number that no double can hold */
export function parseExact(text: string): unknown {
  return exact.parse(text, (_key, value, { source }) => {
    if (typeof value !== 'number' || source === undefined) return value
    const written = /[.eE]/.test(source) ? javaDouble(value) : source
    return written === String(value) ? value : exact.rawJSON(written)
  })
}

/** java.lang.Double.toString: plain between 10^-3 and 10^7, computerised scientific notation beyond. */
function javaDouble(value: number): string {
  const magnitude = Math.abs(value)
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  if (magnitude >= 1e-3 && magnitude < 1e7) return withFraction(String(value))
  const [digits, exponent] = value.toExponential().split('e')
  return `${withFraction(digits)}E${Number(exponent)}`
}

const withFraction = (digits: string): string => (digits.includes('.') ? digits : `${digits}.0`)

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !exact.isRawJSON(value)
