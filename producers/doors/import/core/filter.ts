// Which rows are taken: conditions on columns, all of which must hold.
import { InputError } from '../../../../platform/errors.ts'

export interface Condition {
  readonly column: string
  readonly isNot: boolean
  readonly values: ReadonlySet<string>
}

const CONDITION = /^(.+?)\s*(!?=)\s*(.*)$/

/**
 * @param text `column=value` or `column!=value`; several values are separated by |
 * @throws InputError WHERE
 */
export function parseCondition(text: string): Condition {
  const match = CONDITION.exec(text)
  if (match === null)
    throw new InputError('WHERE', 'where', `${text} is not a condition such as state!=unavailable or unit=kWh|Wh`)
  const [, column, operator, values] = match
  return { column, isNot: operator === '!=', values: new Set(values.split('|').map((value) => value.trim())) }
}

export const holds = ({ isNot, values }: Condition, cell: string): boolean => values.has(cell) !== isNot
