// The entries of a mapping: which column, or which name in a column of names, is which metric of which sensor, and how
// its unit is converted.
import { METRIC_NAMES } from '../../../../platform/codec/reading.ts'
import { InputError } from '../../../../platform/errors.ts'

export interface MetricEntry {
  readonly metric: string
  /** The part of the sensor's id that this entry adds; null for none. */
  readonly part: string | null
  /** A column; or a name, in which * stands for any text. */
  readonly source: string
  readonly factor: number
  readonly offset: number
}

/** metric, @part, source, *factor, +offset */
const ENTRY = /^([^=@]+)(?:@([^=]+))?=(.+?)(?:\*(-?\d+(?:\.\d+)?(?:[eE]-?\d+)?)([+-]\d+(?:\.\d+)?)?)?$/

/**
 * @param text `metric=source`, `metric@part=source`, `metric=source*factor`, `metric=source*factor+offset`
 * @param option the option that it is of
 * @throws InputError
 */
export function parseEntry(text: string, option: 'map' | 'names'): MetricEntry {
  const match = ENTRY.exec(text)
  if (match === null)
    throw new InputError(
      'MAP',
      option,
      `${text} is not metric=column or metric=column*factor, such as power_w=kW*1000 or temperature_c=T*0.55556-17.778`,
    )
  const [, metric, part, source, factor, offset] = match
  if (!METRIC_NAMES.includes(metric))
    throw new InputError('MAP', option, `${metric} is not a metric; the metrics are ${METRIC_NAMES.join(', ')}`)
  return { metric, part: part ?? null, source, factor: Number(factor ?? 1), offset: Number(offset ?? 0) }
}

/** 15 digits: 5.374 kW are 5374 W, not 5373.999999999999. */
export const convert = (value: number, { factor, offset }: MetricEntry): number =>
  factor === 1 && offset === 0 ? value : Number((value * factor + offset).toPrecision(15))

/** Finds the first entry whose pattern has a name. Names come again and again, so that what was found is kept. */
export class NameMatcher {
  readonly #entries: readonly { entry: MetricEntry; regex: RegExp }[]
  readonly #known = new Map<string, MetricEntry | null>()

  constructor(entries: readonly MetricEntry[]) {
    const literal = (text: string): string => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    this.#entries = entries.map((entry) => ({
      entry,
      regex: new RegExp(`^${entry.source.split('*').map(literal).join('.*')}$`, 'i'),
    }))
  }

  /** Null for a name that no entry has. */
  find(name: string): MetricEntry | null {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const found = this.#entries.find(({ regex }) => regex.test(name))?.entry ?? null
    if (this.#known.size < KNOWN_MAX) this.#known.set(name, found)
    return found
  }
}

/** More names than this are looked up each time. */
const KNOWN_MAX = 10_000
