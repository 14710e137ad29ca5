// What every store must do, as one suite that runs over each of them (contract.test.ts). The oracle is brute force
// over plain arrays (contract-oracle.ts).
import { afterEach } from 'vitest'
import { readingContract } from './contract-reads.test-support.ts'
import type { Ground } from './contract-rows.ts'
import { writingContract } from './contract-writes.test-support.ts'
import type { Store } from './port.ts'

/** @param open gives an empty, migrated store */
export function storeContract(name: string, open: () => Promise<Store>): void {
  const opened: Store[] = []
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
  })
  let runs = 0
  const ground: Ground = {
    fresh: async () => {
      const store = await open()
      opened.push(store)
      return store
    },
    ownName: () => `run${(runs += 1)}`,
  }
  writingContract(name, ground)
  readingContract(name, ground)
}
