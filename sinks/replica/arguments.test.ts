import { expect, test } from 'vitest'
import { readArguments } from './arguments.ts'

test('a replica has an id, a folder and may be resumed', () => {
  expect(readArguments(['--id', 'r1'])).toEqual({ id: 'r1', root: 'data', resume: false })
  expect(readArguments(['--id', 'R_2.b-c', '--dir', '/tmp/x', '--resume'])).toEqual({
    id: 'R_2.b-c',
    root: '/tmp/x',
    resume: true,
  })
})

test.each(['', '.', '..', '../r1', 'a/b', '.hidden', '-x', 'a b', 'ä', 'a\n', 'x'.repeat(65)])(
  'an id that would be a path, hidden or no plain name is refused: %j',
  (id) => {
    expect(() => readArguments([`--id=${id}`])).toThrow(/--id is .*: expected a letter or digit/)
  },
)

test('what is not known is refused', () => {
  expect(() => readArguments([])).toThrow(/--id/)
  expect(() => readArguments(['--id', 'r1', '--force'])).toThrow(/--force/)
  expect(() => readArguments(['--id', 'r1', '--dir='])).toThrow(/--dir is empty/)
})
