// The simulator's broker keeps the port's contract, on virtual time.
import { describeGroups } from '../../platform/kafka/port-contract-groups.test-support.ts'
import { describeLogs } from '../../platform/kafka/port-contract-logs.test-support.ts'
import { describeTransactions } from '../../platform/kafka/port-contract-transactions.test-support.ts'
import { makeSimEnvironment } from './sim-environment.test-support.ts'

describeLogs('the simulated broker', makeSimEnvironment)
describeGroups('the simulated broker', makeSimEnvironment)
describeTransactions('the simulated broker', makeSimEnvironment)
