// `plumbline config`: parses its arguments and renders its answers. Pure: documents in, documents or lines out.
import { InputError } from '../../../platform/errors.ts'
import { parseScope } from '../../../platform/runtime-config/document.ts'
import { RUNTIME_NAMES, RUNTIME_SETTINGS, runtimeSetting, type RuntimeName } from '../../../platform/runtime-config/settings.ts' // prettier-ignore
import { escapeLine } from '../../core/decode.ts'
import { renderTable } from '../../core/table.ts'

type Scopes = Readonly<Record<string, Readonly<Record<string, number>>>>

interface Shown {
  readonly version: number
  readonly at: number
  readonly applied: readonly Member[]
  readonly pending: readonly Member[]
}

interface Member {
  readonly node_id: string
  readonly version: number
  readonly refused: string | null
}

/** Members listed by name; the rest are counted. */
const NAMED_MAX = 10

/** @throws InputError */
export function parseName(text: string): RuntimeName {
  if (Object.hasOwn(RUNTIME_SETTINGS, text)) return text as RuntimeName
  throw new InputError('CONFIG_INVALID', 'name', `there is no setting "${text}"; there are ${RUNTIME_NAMES.join(', ')}`)
}

/**
 * name=value pairs.
 * @throws InputError
 */
export function parsePairs(texts: readonly string[]): ReadonlyMap<RuntimeName, number> {
  return new Map(
    texts.map((text) => {
      const at = text.indexOf('=')
      const value = text.slice(at + 1).trim()
      if (at < 1 || value === '' || !Number.isFinite(Number(value)))
        throw new InputError('CONFIG_INVALID', 'value', `"${text}" is not name=number, such as detector.z=4`)
      return [parseName(text.slice(0, at)), Number(value)] as const
    }),
  )
}

/** @throws InputError if it is not a scope */
export function withValues(scopes: Scopes, scope: string, values: ReadonlyMap<RuntimeName, number>): Scopes {
  parseScope(scope)
  return { ...scopes, [scope]: { ...scopes[scope], ...Object.fromEntries(values) } }
}

/** Removes some values of a scope; without names, the whole scope. */
export function withoutValues(scopes: Scopes, scope: string, names: readonly RuntimeName[]): Scopes {
  parseScope(scope)
  const { [scope]: values = {}, ...others } = scopes
  const left = Object.entries(values).filter(([name]) => names.length > 0 && !names.includes(name as RuntimeName))
  return left.length === 0 ? others : { ...others, [scope]: Object.fromEntries(left) }
}

/** Every value set, most general scope first, as in the document. */
export function renderScopes(scopes: Scopes): string {
  const rows = Object.entries(scopes).flatMap(([scope, values]) =>
    Object.entries(values).map(([name, value]) => [escapeLine(scope), name, String(value)]),
  )
  if (rows.length === 0) return 'nothing is set: the environment’s values hold'
  return renderTable(['scope', 'name', 'value'], rows, ['left', 'left', 'right'])
}

/** The version, who has applied it, and who has not. */
export function renderApplied({ version, at, applied, pending }: Shown): string {
  const since = version === 0 ? '' : `, of ${new Date(at).toISOString()}`
  const refused = (member: Member): string => (member.refused === null ? '' : ` (refused: ${member.refused})`)
  return [
    `version ${version}${since}`,
    `applied by ${namesOf(applied, ({ node_id }) => node_id)}`,
    ...(pending.length === 0
      ? []
      : [`pending: ${namesOf(pending, (member) => `${member.node_id} at ${member.version}${refused(member)}`)}`]),
  ].join('\n')
}

function namesOf(members: readonly Member[], text: (member: Member) => string): string {
  if (members.length === 0) return 'nobody'
  const named = members
    .slice(0, NAMED_MAX)
    .map((member) => escapeLine(text(member)))
    .join(', ')
  return members.length > NAMED_MAX ? `${members.length} members: ${named}, …` : named
}

/** The available settings, and which of them are set. */
export function renderSettings(scopes: Scopes): string {
  const rows = RUNTIME_NAMES.map((name) => {
    const { min, max, whole, scopes: allowed, base } = runtimeSetting(name)
    const set = Object.entries(scopes)
      .filter(([, values]) => values[name] !== undefined)
      .map(([scope, values]) => `${escapeLine(scope)}: ${values[name]}`)
    return [name, `${min} to ${max}${whole ? ', whole' : ''}`, allowed.join(', '), base, set.join('; ')]
  })
  const docs = RUNTIME_NAMES.map((name) => `${name}: ${runtimeSetting(name).doc}`)
  const table = renderTable(['name', 'bounds', 'scopes', 'otherwise', 'set'], rows, ['left', 'left', 'left', 'left', 'left']) // prettier-ignore
  return `${table}\n\n${docs.join('\n')}`
}
