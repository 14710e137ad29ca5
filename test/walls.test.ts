// The walls of DESIGN.md, held by reading every file: which rooms may know which, what a core may touch, who reads the
// environment, how long a file may be. eslint holds most of them while one types; this test reads the imports and the
// syntax itself, so that no rule that was switched off in a comment passes.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { OUTER, ROOMS } from './rooms.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Everything that a core needs can be computed; what talks to the world is none of these. */
const PURE_PACKAGES = ['avsc', 'tinyqueue', 'pure-rand', 'lru-cache', 'csv-parse', 'zod']
const IMPURE_NAMES = [
  'process',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'performance',
  'fetch',
  'console',
]
const LINES_MAX = 350
/** A suite may be a little longer than what it tests. */
const TEST_LINES_MAX = 450

interface Source {
  /** From the root, with slashes. */
  readonly path: string
  readonly lines: number
  readonly imports: readonly string[]
  readonly tree: ts.SourceFile
}

function sourcesBelow(folder: string): Source[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory())
      return entry.name.startsWith('.') || entry.name === 'node_modules' ? [] : sourcesBelow(path)
    return entry.name.endsWith('.ts') ? [read(path)] : []
  })
}

function read(path: string): Source {
  const text = readFileSync(path, 'utf8')
  return {
    path: relative(ROOT, path),
    lines: text.trimEnd().split('\n').length,
    // Static and dynamic imports, exports from, and require, by TypeScript's own scanner.
    imports: ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName),
    tree: ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true),
  }
}

const sources = sourcesBelow(ROOT)
const isTest = ({ path }: Source): boolean =>
  /(\.test(-support)?|\/contract)\.ts$/.test(path) || path.startsWith('test/') || path === 'vitest.config.ts'
const isCore = ({ path }: Source): boolean => /\/core\//.test(path)
const roomOf = (path: string): string | undefined => ROOMS.find((room) => path.startsWith(`${room}/`))
/** Where a relative import leads, from the root; undefined for a package. */
const targetOf = ({ path }: Source, specifier: string): string | undefined =>
  specifier.startsWith('.') ? relative(ROOT, resolve(ROOT, dirname(path), specifier)) : undefined

/** Every node of a file that `matches`, as "path:line". */
function found(source: Source, matches: (node: ts.Node) => boolean): string[] {
  const places: string[] = []
  const visit = (node: ts.Node): void => {
    if (matches(node))
      places.push(`${source.path}:${source.tree.getLineAndCharacterOfPosition(node.getStart()).line + 1}`)
    ts.forEachChild(node, visit)
  }
  visit(source.tree)
  return places
}

const isAccess = (node: ts.Node, object: string, name: string): boolean =>
  ts.isPropertyAccessExpression(node) && node.expression.getText() === object && node.name.text === name

/** Whether a parameter of a function around `node` has its name. */
function isParameter(node: ts.Identifier): boolean {
  const binds = (part: ts.Node): boolean =>
    ts.isIdentifier(part)
      ? part.text === node.text
      : ts.isBindingElement(part) || ts.isParameter(part)
        ? binds(part.name)
        : (ts.forEachChild(part, binds) ?? false)
  for (let around: ts.Node = node; around.parent !== undefined; around = around.parent) {
    if (ts.isFunctionLike(around) && around.parameters.some(binds)) return true
  }
  return false
}

/** An identifier that stands for the global thing: no property's name and no parameter. */
const isGlobal = (node: ts.Node, names: readonly string[]): boolean =>
  ts.isIdentifier(node) &&
  names.includes(node.text) &&
  !('name' in node.parent && node.parent.name === node) &&
  !isParameter(node)

describe('the walls', () => {
  test('there is something to read: this very file, cores and rooms', () => {
    expect(sources.map(({ path }) => path)).toContain('test/walls.test.ts')
    expect(sources.filter(isCore).length).toBeGreaterThan(10)
    expect(sources.find(({ path }) => path === 'test/walls.test.ts')!.imports).toContain('typescript')
  })

  test('rooms never import each other: they meet at topics, the store port and schemas/', () => {
    const crossings = sources.flatMap((source) => {
      const room = roomOf(source.path)
      if (room === undefined || OUTER.includes(room)) return []
      return source.imports.flatMap((specifier) => {
        const target = targetOf(source, specifier)
        const other = target === undefined ? undefined : roomOf(target)
        return other === undefined || other === room ? [] : [`${source.path} imports ${target}`]
      })
    })
    expect(crossings).toEqual([])
  })

  test('platform/ and schemas/ know no room, and only tests reach into test/', () => {
    const upwards = sources
      .filter((source) => !isTest(source))
      .flatMap((source) =>
        source.imports.flatMap((specifier) => {
          const target = targetOf(source, specifier)
          if (target === undefined) return []
          const shared = /^(platform|schemas)\//.test(source.path)
          return target.startsWith('test/') ||
            /\.test(-support)?\.ts$/.test(target) ||
            (shared && roomOf(target) !== undefined)
            ? [`${source.path} imports ${target}`]
            : []
        }),
      )
    expect(upwards).toEqual([])
  })

  test('only platform/kafka/kafkajs/ knows the client; only the codec and the registry’s tests know its package', () => {
    const knowers = (name: string): string[] =>
      sources
        .filter(({ imports }) => imports.some((one) => one === name || one.startsWith(`${name}/`)))
        .map(({ path }) => path)
    expect(
      knowers('kafkajs').filter(
        (path) => !path.startsWith('platform/kafka/kafkajs/') && !/^test\/(dangers|fixtures\/bare)/.test(path),
      ),
    ).toEqual([])
    expect(
      knowers('@kafkajs/confluent-schema-registry').filter((path) => !/^(platform\/codec|registry)\//.test(path)),
    ).toEqual([])
  })

  test('a core imports nothing impure', () => {
    const impure = sources
      .filter((source) => isCore(source) && !isTest(source))
      .flatMap((source) =>
        source.imports
          .filter((specifier) => !specifier.startsWith('.') && !PURE_PACKAGES.includes(specifier.split('/')[0]))
          .map((specifier) => `${source.path} imports ${specifier}`),
      )
    expect(impure).toEqual([])
  })

  test('a core has no async, clock, randomness, timer or process: time and chance are arguments', () => {
    const impure = sources
      .filter((source) => isCore(source) && !isTest(source))
      .flatMap((source) =>
        found(
          source,
          (node) =>
            node.kind === ts.SyntaxKind.AsyncKeyword ||
            ts.isAwaitExpression(node) ||
            isAccess(node, 'Date', 'now') ||
            isAccess(node, 'Math', 'random') ||
            (ts.isNewExpression(node) && node.expression.getText() === 'Date' && (node.arguments ?? []).length === 0) ||
            isGlobal(node, IMPURE_NAMES),
        ),
      )
    expect(impure).toEqual([])
  })

  test('only main.ts files and tests read the environment', () => {
    const readers = sources
      .filter(
        (source) => !isTest(source) && !source.path.endsWith('main.ts') && !OUTER.includes(roomOf(source.path) ?? ''),
      )
      .flatMap((source) => found(source, (node) => isAccess(node, 'process', 'env')))
    expect(readers).toEqual([])
  })

  test(`no file is longer than ${LINES_MAX} lines, no test longer than ${TEST_LINES_MAX}`, () => {
    const long = sources.filter((source) => source.lines > (isTest(source) ? TEST_LINES_MAX : LINES_MAX))
    expect(long.map(({ path, lines }) => `${path}: ${lines}`)).toEqual([])
  })

  test('every file opens with what it owns and why, in prose', () => {
    const silent = sources.filter(
      (source) => !isTest(source) && !source.tree.text.replace(/^#!.*\n/, '').startsWith('//'),
    )
    expect(silent.map(({ path }) => path)).toEqual([])
  })
})
