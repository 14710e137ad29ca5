// The contract over the TDengine adapter's own logic, on the stand-in; the same suite runs on a server in
// tdengine.real.test.ts.
import { storeContract } from '../contract.ts'
import { shifted } from './shift.test-support.ts'
import { StandIn } from './stand-in.test-support.ts'
import { TdengineStore } from './store.ts'

storeContract('TDengine (stand-in)', async () => {
  const store = new TdengineStore({ transport: new StandIn(), database: 'plumbline', access: 'write', settleMs: 0 })
  await store.migrate()
  return shifted(store)
})
