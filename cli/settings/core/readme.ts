// Generated parts of Markdown files are between <!-- name --> and <!-- /name -->.
import { InputError } from '../../../platform/errors.ts'

/** @throws InputError unless the marks occur exactly once, in this order */
export function replaceBetween(text: string, name: string, content: string): string {
  const open = `<!-- ${name} -->`
  const close = `<!-- /${name} -->`
  const from = text.indexOf(open)
  const to = text.indexOf(close)
  if (from < 0 || to < from) throw new InputError('NO_MARKS', name, `there is no ${open} … ${close} in the file`)
  return `${text.slice(0, from + open.length)}\n${content}\n${text.slice(to)}`
}
