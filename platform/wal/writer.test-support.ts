// Appends readings to a log as fast as it can and prints, after each batch, how many are accepted. A test kills it.
import { writeSync } from 'node:fs'
import { sensorKey } from '../codec/identity.ts'
import { makeBatch, makeReading } from './readings.test-support.ts'
import { Wal } from './wal.ts'

const [dir] = process.argv.slice(2)
const wal = new Wal({
  dir,
  nodeId: 'victim',
  segmentBytes: 65_536,
  maxBytes: 2 ** 30,
  fsyncMs: 100,
  claimEpoch: () => Math.floor(Date.now() / 1000),
})
for (let round = 0; ; round += 1) {
  const batch = makeBatch()
  for (let i = 0; i < 50; i += 1) {
    const sensor = `s${(round + i) % 7}`
    batch.add(wal.lane(sensorKey('t', sensor)), makeReading(sensor, round))
  }
  wal.append(batch)
  if (round % 20 === 0) wal.acknowledge(Math.floor(wal.appended / 2))
  writeSync(1, `${wal.accepted} ${wal.acknowledged}\n`)
}
