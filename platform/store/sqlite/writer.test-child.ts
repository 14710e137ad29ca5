// A writer to be killed by sqlite.real.test.ts: continues from the stored offset, batch after batch, each reading n of
// sensor n mod 50 at offset n. It says so when the first batch is in.
import { batch, reading } from '../contract-rows.ts'
import { SqliteStore } from './store.ts'

const BATCH_ROWS = 2_000
const store = new SqliteStore({ file: process.argv[2], access: 'write' })
await store.migrate()
const [saved] = await store.read((view) => view.progress())
let offset: number | null = saved?.offset ?? null
for (;;) {
  const first: number = offset ?? 0
  const rows = Array.from({ length: BATCH_ROWS }, (_, i) => {
    const n = first + i
    return {
      version: 0,
      reading: reading({ sensor_id: `s${n % 50}`, ts: n, epoch: 1, seq: Math.floor(n / 50), power_w: n }),
    }
  })
  await store.write(
    batch(rows, [
      { topic: 't', partition: 0, after: offset, offset: first + BATCH_ROWS, throughMs: null, eventMs: null },
    ]),
  )
  if (offset === (saved?.offset ?? null)) process.send!('written')
  offset = first + BATCH_ROWS
}
