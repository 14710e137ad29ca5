// SPEC.md names, for each invariant, the tests that hold it. A name that no test has any more would be a promise that
// nobody keeps, so the table is checked here.
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

const ROOT = new URL('../', import.meta.url)
const read = (path: string): string => readFileSync(fileURLToPath(new URL(path, ROOT)), 'utf8')

interface Row {
  readonly id: string
  readonly holders: readonly { readonly file: string; readonly name: string }[]
}

const rows: Row[] = [...read('stream-jobs/SPEC.md').matchAll(/^\| ([A-Z]\d+) \|.*\| (.*) \|$/gm)].map(
  ([, id, cell]) => ({
    id,
    holders: [...cell.matchAll(/`([^`]+?) › ([^`]+)`/g)].map(([, file, name]) => ({ file, name })),
  }),
)

const isTest = (callee: ts.Expression): boolean =>
  /^(test|it)(\.each\b|$)/.test(callee.getText()) && !callee.getText().includes('.skip')

/** The names of a file's tests; `${…}` of a template stands as it is. */
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

describe('SPEC.md', () => {
  test('has invariants with ids of their own', () => {
    expect(rows.length).toBeGreaterThan(10)
    expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length)
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
