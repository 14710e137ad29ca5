// Three projects, one after the other: `unit` is pure and quick; `real` starts Kafka, Redis and whole processes, two files
// at a time: most of their time is waiting for sessions to expire and processes to start, and with three the short
// sessions of fault tests expire on two cores; `docker` needs a Docker engine and runs alone.
import { defineConfig } from 'vitest/config'

/** They need a server, which only the environment can name; test/run.ts says when they are left out. */
const TDENGINE_TESTS = process.env.TDENGINE_URL ? [] : ['platform/store/tdengine/store.real.test.ts']

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: ['**/*.real.test.ts', '**/*.docker.test.ts', 'node_modules/**', '.plumbline/**'],
          // It ends what hangs, and must not end a long property on a busy machine.
          testTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'real',
          include: ['**/*.real.test.ts'],
          globalSetup: ['test/fixtures/prepare.ts'],
          sequence: { groupOrder: 1 },
          exclude: ['node_modules/**', '.plumbline/**', ...TDENGINE_TESTS],
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'docker',
          include: ['**/*.docker.test.ts'],
          exclude: ['node_modules/**', '.plumbline/**'],
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
