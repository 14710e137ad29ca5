// Lint rules, with the walls of the layout: rooms never import each other, only platform/kafka/kafkajs/ knows the client,
// and every core/ is pure. test/walls.test.ts holds the same walls by reading the imports themselves.
import tseslint from 'typescript-eslint'
import { OUTER, ROOMS } from './test/rooms.ts'

const foreignRooms = (room) =>
  OUTER.includes(room)
    ? []
    : ROOMS.filter((other) => other !== room).map((other) => ({
        regex: `(^|/)\\.\\./(.*/)?${other}/`,
        message: `Rooms never import each other: ${room}/ and ${other}/ meet at topics, the store port and schemas/.`,
      }))

const CLIENT = {
  regex: '^kafkajs(/|$)',
  message: 'Only platform/kafka/kafkajs/client.ts and its patches know the client; use the port.',
}

const walls = (room) => ({
  files: [`${room}/**/*.ts`],
  rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns: [CLIENT, ...foreignRooms(room)] }] },
})

const IMPURE = { regex: '^node:', message: 'A core is pure: it computes; a shell talks to the world.' }
const TESTS = ['**/*.test.ts', '**/*.test-support.ts']

/** Of two settings of a rule the last one counts: a core's repeats its room's and adds its own. */
const coreWalls = (room) => ({
  files: [`${room}/**/core/**/*.ts`],
  ignores: TESTS,
  rules: {
    '@typescript-eslint/no-restricted-imports': ['error', { patterns: [CLIENT, IMPURE, ...foreignRooms(room)] }],
  },
})

export default tseslint.config(
  { ignores: ['node_modules/', '.plumbline/', '**/*.js'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false } }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      'no-console': 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'prefer-const': 'error',
    },
  },
  ...ROOMS.map(walls),
  ...ROOMS.map(coreWalls),
  {
    files: ['**/core/**/*.ts'],
    ignores: TESTS,
    rules: {
      'no-restricted-globals': [
        'error',
        'process',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'queueMicrotask',
        'performance',
      ],
      'no-restricted-syntax': [
        'error',
        { selector: ':function[async=true]', message: 'A core is pure: nothing in it is async.' },
        { selector: "MemberExpression[object.name='Date'][property.name='now']", message: 'Time is an argument.' },
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'Time is an argument.' },
        {
          selector: "MemberExpression[object.name='Math'][property.name='random']",
          message: 'Randomness is an argument.',
        },
      ],
    },
  },
  { files: ['cli/**/*.ts', 'bench/**/*.ts', 'deploy/**/*.ts'], rules: { 'no-console': 'off' } },
)
