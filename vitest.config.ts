// Two projects: `unit` is pure and quick; `real` starts Kafka, Redis and whole processes, one file at a time, since
// two cores carry one broker well and several badly.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: ['**/*.real.test.ts', 'node_modules/**', '.plumbline/**'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'real',
          include: ['**/*.real.test.ts'],
          globalSetup: ['test/fixtures/prepare.ts'],
          exclude: ['node_modules/**', '.plumbline/**'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
