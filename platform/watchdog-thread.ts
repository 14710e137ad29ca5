// The thread of watchdog.ts.
import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'

const { shared, name, looks, lookEveryMs } = workerData as {
  shared: Int32Array
  name: string
  looks: number
  lookEveryMs: number
}

let seen = 0
let times = 0
for (;;) {
  Atomics.wait(shared, 1, 0, lookEveryMs)
  const current = Atomics.load(shared, 0)
  times = current !== 0 && current === seen ? times + 1 : 0
  seen = current
  if (times < looks) continue
  writeSync(2, `${name} has not returned within ${(looks * lookEveryMs) / 1_000} s: the process ends\n`)
  process.kill(process.pid, 'SIGKILL')
}
