// A worker thread of the pool: it has a read-only connection to the store of its own and answers one read at a time.
import { parentPort, workerData } from 'node:worker_threads'
import { openStore, type StoreConfig } from '../../platform/store/open.ts'
import { partsOf, type ReadReply, type ReadRequest } from './messages.ts'
import { DirectReader } from './store-reader.ts'

const reader = new DirectReader(openStore(workerData as StoreConfig, 'read'))

parentPort!.on('message', (request: ReadRequest) => void reply(request))

async function reply({ name, params }: ReadRequest): Promise<void> {
  let sent: ReadReply
  try {
    sent = { ok: true, result: await reader.read(name, params as never) }
  } catch (error) {
    sent = { ok: false, error: partsOf(error) }
  }
  parentPort!.postMessage(sent)
}
