// Local times to UTC by the rules of a time zone. Once a year most zones have an hour that occurs twice and one that
// does not occur at all: such a time is named, and only a choice that was said settles it. Between two changes of the
// clock the offset is one number, so that a row costs a subtraction and not a look into the zone's rules.
import { InputError } from '../../../../platform/errors.ts'

export type TwiceChoice = 'refuse' | 'earlier' | 'later' | 'order'
export type SkippedChoice = 'refuse' | 'earlier' | 'later'

export interface ZoneOptions {
  /** An IANA name or an offset: Europe/Berlin, +01:00, UTC. */
  readonly tz: string
  readonly twice: TwiceChoice
  readonly skipped: SkippedChoice
}

/** Sensors whose previous time is kept for the choice `order`. */
const SENSORS_MAX = 100_000

export class Zone {
  readonly #options: ZoneOptions
  /** Local times, ms, in which `#offsetMs` is the only one. */
  #from = Infinity
  #to = -Infinity
  #offsetMs = 0
  readonly #previous = new Map<string, number>()

  /** @throws InputError TZ */
  constructor(options: ZoneOptions) {
    this.#options = options
    try {
      Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(options.tz)
    } catch {
      throw new InputError(
        'TZ',
        'tz',
        `${options.tz} is not a time zone; use a name such as Europe/Berlin or an offset such as +01:00`,
      )
    }
  }

  /**
   * @param localMs the local time as if it were UTC, ms since 1970
   * @param sensor whose row it is, for the choice `order`
   * @throws InputError LOCAL_TIME when there are two such times or none, and no choice was made
   */
  toUtc(localMs: number, sensor: string): number {
    const ms = localMs >= this.#from && localMs < this.#to ? localMs - this.#offsetMs : this.#lookUp(localMs, sensor)
    if (this.#options.twice === 'order') this.#remember(sensor, ms)
    return ms
  }

  #lookUp(localMs: number, sensor: string): number {
    const local = Temporal.Instant.fromEpochMilliseconds(localMs).toZonedDateTimeISO('UTC').toPlainDateTime()
    const at = (disambiguation: 'earlier' | 'later'): Temporal.ZonedDateTime =>
      local.toZonedDateTime(this.#options.tz, { disambiguation })
    const [earlier, later] = [at('earlier'), at('later')]
    const [first, second] = [earlier.epochMilliseconds, later.epochMilliseconds]
    if (first !== second)
      return earlier.toPlainDateTime().equals(local)
        ? this.#twice(local, first, second, sensor)
        : this.#skipped(local, first, second)
    this.#keepSpan(earlier)
    return first
  }

  /** Around a time: until which local times its offset is the only one. */
  #keepSpan(time: Temporal.ZonedDateTime): void {
    const offsetAt = (zoned: Temporal.ZonedDateTime): number => zoned.offsetNanoseconds / 1e6
    const offset = offsetAt(time)
    const next = time.getTimeZoneTransition('next')
    // The transition at this very instant has begun the span, so one is looked for before the next millisecond.
    const last = time.add({ milliseconds: 1 }).getTimeZoneTransition('previous')
    const before = last === null ? offset : offsetAt(last.subtract({ milliseconds: 1 }))
    this.#offsetMs = offset
    this.#from = last === null ? -Infinity : last.epochMilliseconds + Math.max(before, offset)
    this.#to = next === null ? Infinity : next.epochMilliseconds + Math.min(offset, offsetAt(next))
  }

  #twice(local: Temporal.PlainDateTime, first: number, second: number, sensor: string): number {
    switch (this.#options.twice) {
      case 'earlier':
        return first
      case 'later':
        return second
      case 'order': {
        const previous = this.#previous.get(sensor)
        return previous === undefined || first > previous ? first : second
      }
      case 'refuse':
        throw new InputError(
          'LOCAL_TIME',
          'ts',
          `${shown(local)} occurs twice in ${this.#options.tz}, as ${iso(first)} and ${iso(second)}: choose by --tz-twice earlier, later or order`,
        )
    }
  }

  #skipped(local: Temporal.PlainDateTime, earlier: number, later: number): number {
    switch (this.#options.skipped) {
      case 'earlier':
        return earlier
      case 'later':
        return later
      case 'refuse':
        throw new InputError(
          'LOCAL_TIME',
          'ts',
          `${shown(local)} does not occur in ${this.#options.tz}: its clocks skip that hour. Choose ${iso(earlier)} or ${iso(later)} by --tz-skipped earlier or later, or another --tz`,
        )
    }
  }

  #remember(sensor: string, ms: number): void {
    if (this.#previous.size >= SENSORS_MAX && !this.#previous.has(sensor))
      throw new InputError(
        'LOCAL_TIME',
        'ts',
        `--tz-twice order keeps a time for each sensor; the limit is ${SENSORS_MAX} sensors`,
      )
    this.#previous.set(sensor, ms)
  }
}

const iso = (ms: number): string => new Date(ms).toISOString()
const shown = (local: Temporal.PlainDateTime): string => local.toString({ smallestUnit: 'second' })
