// SPEC.md names, for each invariant, the tests that hold it. A name that no test has any more would be a promise that
// nobody keeps, so the table is checked here.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

const ROOT = new URL('../', import.meta.url)
const read = (path: string): string => readFileSync(fileURLToPath(new URL(path, ROOT)), 'utf8')

interface Row {
  readonly id: string
  readonly holders: readonly { readonly file: string; readonly name: string }[]
}

const [invariants, limits] = read('stream-jobs/SPEC.md').split('## Known gaps')
const rows: Row[] = [...invariants.matchAll(/^\| ([A-Z]\d+) \|.*\| (.*) \|$/gm)].map(([, id, cell]) => ({
  id,
  holders: [...cell.matchAll(/`([^`]+?) › ([^`]+)`/g)].map(([, file, name]) => ({ file, name })),
}))

const isTest = (callee: ts.Expression): boolean =>
  /^(test|it)(\.each\b|$)/.test(callee.getText()) && !callee.getText().includes('.skip')

/** The names of a file's tests; `${…}` of a template is left as it is. */
function testNames(file: string): string[] {
  const names: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isTest(node.expression)) {
      const [name] = node.arguments
      if (name !== undefined && (ts.isStringLiteralLike(name) || ts.isTemplateExpression(name)))
        names.push(ts.isStringLiteralLike(name) ? name.text : name.getText().slice(1, -1))
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, read(file), ts.ScriptTarget.ESNext, true))
  return names
}

const gaps = [...limits.matchAll(/^\| ([A-Z]\d+) \| .* \|$/gm)]
const letters = [...new Set(rows.map(({ id }) => id[0]))].join('')
/** An invariant's id at the beginning of a test's name. */
const CARRIED = new RegExp(`^([${letters}]\\d+): `)
const CARRIED_SOMEWHERE = new RegExp(`['"\`][${letters}]\\d+: `)
const testFiles = globSync('**/*.test.ts', { cwd: fileURLToPath(ROOT), exclude: ['node_modules/**'] })
  .filter((file) => CARRIED_SOMEWHERE.test(read(file)))
  .sort()

describe('SPEC.md', () => {
  test('has invariants with ids of their own', () => {
    expect(rows.length).toBeGreaterThan(10)
    expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length)
  })

  test('names every test that carries the id of an invariant', () => {
    const unnamed = testFiles.flatMap((file) =>
      testNames(file).filter((title) => {
        const id = CARRIED.exec(title)?.[1]
        const holders = rows.find((row) => row.id === id)?.holders ?? []
        return id !== undefined && !holders.some((holder) => holder.file === file && title.startsWith(holder.name))
      }),
    )
    expect(unnamed).toEqual([])
  })

  test('ties every gap to an invariant', () => {
    expect(gaps.length).toBeGreaterThan(5)
    const ids = rows.map(({ id }) => id)
    expect(gaps.map(([, id]) => id).filter((id) => !ids.includes(id))).toEqual([])
  })

  test.each(rows)('$id is held by tests that exist', ({ holders }) => {
    expect(holders.length).toBeGreaterThan(0)
    for (const { file, name } of holders) {
      expect(existsSync(fileURLToPath(new URL(file, ROOT))), file).toBe(true)
      expect(
        testNames(file).filter((title) => title.startsWith(name)),
        `${file} › ${name}`,
      ).not.toEqual([])
    }
  })
})
