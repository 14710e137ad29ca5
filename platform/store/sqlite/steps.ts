// Steps of cumulative metrics as SQL: from one value of a sensor to its next, by the rule of `increase` in port.ts.
import type { Metric } from '../../../schemas/metrics.ts'

export const cumulative = (metrics: readonly Metric[]): Metric[] => metrics.filter(({ kind }) => kind === 'cumulative')

/** The step; NULL where one of the two values is. */
export const stepSql = (value: string, before: string): string =>
  `CASE WHEN ${value} >= ${before} THEN ${value} - ${before} WHEN ${value} < ${before} THEN max(0.0, ${value}) END`

/** Whether the value fell; NULL where one of the two is. */
export const resetSql = (value: string, before: string): string => `${value} < ${before}`
