// How a setting is declared: its check, its default and its meaning. Their list is in
// config.ts.
import { z } from 'zod'

export const int = (min: number, max: number) => z.coerce.number().int().min(min).max(max)
export const text = z.string().trim()

export interface Setting {
  readonly check: z.ZodType
  /** As it would be written in the environment; undefined: not set. */
  readonly default: string | undefined
  readonly doc: string
  /** Its value may also come from the file that NAME_FILE names, and it is never shown. */
  readonly secret?: true
}

export const setting = <T extends z.ZodType>(check: T, fallback: string, doc: string) => ({
  check,
  default: fallback,
  doc,
})
export const optional = <T extends z.ZodType>(check: T, doc: string) => ({
  check: check.optional(),
  default: undefined,
  doc,
})
export const secret = (doc: string, check: z.ZodType<string> = text.min(1)) => ({
  check: check.optional(),
  default: undefined,
  doc,
  secret: true as const,
})
