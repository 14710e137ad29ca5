// A process whose work either returns in time, again and again, or holds its thread for ever.
import { Watchdog } from './watchdog.ts'

const watchdog = new Watchdog('the work', 20, 50)
for (let i = 0; i < 30; i += 1) await watchdog.watch(() => new Promise((resolve) => setTimeout(resolve, 60)))
process.stdout.write('in time\n')
if (process.argv[2] === 'hang') {
  await watchdog.watch(async () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })
}
await watchdog.close()
