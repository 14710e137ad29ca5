// What takes the place of transactions: batches broken off anywhere, writes that nobody answers, other sinks. On the
// stand-in, whose answers can be withheld, failed and counted.
import { afterEach, describe, expect, it, vi } from 'vitest'
import { METRICS } from '../../../schemas/metrics.ts'
import { anomaly, batch, reading, type Row } from '../contract-rows.ts'
import type { ProgressUpdate, StoreView, WriteBatch } from '../port.ts'
import { StoreOutageError, StorePoisonError } from '../store-errors.ts'
import { ID_CHARS, migrateTdengine, STATE_TS, TAGS_JSON_CHARS, TDENGINE_MIGRATIONS } from './schema.ts'
import { StandIn } from './stand-in.test-support.ts'
import type { Rows, SqlTransport } from './transport.ts'
import { TdengineStore } from './store.ts'

const AT = { tenant: 't', sensor: 's' }
const LANE = { topic: 'telemetry.late', partition: 0, throughMs: null, eventMs: null }
const step = (after: number | null, offset: number): ProgressUpdate => ({ ...LANE, after, offset })
const row = (ts: number, version = 0, fields: object = {}): Row => ({
  reading: reading({ ts, epoch: 1, seq: ts, ...fields }),
  version,
})

/** A server whose INSERTs go through `meet` first; closing a store does not end it. */
class Server implements SqlTransport {
  readonly standIn = new StandIn()
  meet: (run: () => Promise<Rows>) => Promise<Rows> = (run) => run()
  inserts = 0

  query(sql: string, signal?: AbortSignal): Promise<Rows> {
    const run = (): Promise<Rows> => this.standIn.query(sql, signal)
    if (!sql.startsWith('INSERT')) return run()
    this.inserts += 1
    return this.meet(run)
  }

  async close(): Promise<void> {}
}

async function sinkOf(server: Server): Promise<TdengineStore> {
  const store = new TdengineStore({ transport: server, database: 'plumbline', access: 'write', settleMs: 30 })
  await store.migrate()
  // Waits out the pause at the start.
  await store.write(batch([]))
  server.inserts = 0
  return store
}

const stateOf = (store: TdengineStore): Promise<unknown> =>
  store.read(async (view: StoreView) => [
    await view.progress(),
    await view.recent(AT, 100),
    await view.recent({ tenant: 't', sensor: 'other' }, 100),
    await view.coverage(),
    await view.countsPerSensor(),
    await view.anomalies({}, 100),
    await view.sensors({ limit: 10 }),
  ])

const brokenOff = (): StoreOutageError =>
  new StoreOutageError('TDengine: broken off', { cause: new Error('ECONNRESET') })

afterEach(() => vi.restoreAllMocks())

describe('TDengine without transactions', () => {
  const FIRST = batch([row(10), row(20, 0, { power_w: 1 }), row(10, 0, { sensor_id: 'other' })], [step(null, 3)])
  const SECOND: WriteBatch = {
    ...batch([row(20, 4, { voltage_v: 2 }), row(15), row(20, 2), row(30, 0, { site_id: 'elsewhere' })], [step(3, 7)]),
    anomalies: [anomaly({ ts: 20 })],
  }

  it('EM-3: a batch broken off before or after any statement, then written by a new sink, ends as if nothing had happened', async () => {
    const calm = new Server()
    const undisturbed = await sinkOf(calm)
    await undisturbed.write(FIRST)
    calm.inserts = 0
    await undisturbed.write(SECOND)
    const expected = await stateOf(undisturbed)
    const statements = calm.inserts
    expect(statements).toBeGreaterThanOrEqual(2)
    for (let at = 1; at <= statements; at += 1) {
      for (const applied of [false, true]) {
        const server = new Server()
        const killed = await sinkOf(server)
        await killed.write(FIRST)
        server.inserts = 0
        server.meet = async (run) => {
          if (server.inserts < at) return run()
          if (applied) await run()
          throw brokenOff()
        }
        await expect(killed.write(SECOND)).rejects.toBeInstanceOf(StoreOutageError)
        server.meet = (run) => run()
        const next = await sinkOf(server)
        const [{ offset }] = await next.read((view) => view.progress())
        // Progress is the last statement: only when that one was applied is the batch as good as acknowledged.
        expect(offset).toBe(applied && at === statements ? 7 : 3)
        if (offset === 3) await next.write(SECOND)
        expect(await stateOf(next)).toEqual(expected)
      }
    }
  })

  it('EM-5: a write that is not answered is not given up: it rejects at the signal, and nothing overtakes it', async () => {
    const server = new Server()
    const store = await sinkOf(server)
    let answer = (): void => {}
    server.meet = (run) => new Promise((resolve, reject) => (answer = () => void run().then(resolve, reject)))
    const frozen = store.write(batch([row(10, 1, { power_w: 1 })]), AbortSignal.timeout(20))
    await expect(frozen).rejects.toMatchObject({ code: 'STORE_TIMEOUT', retriable: true })
    const sent = server.inserts
    await expect(store.write(batch([row(10, 2, { power_w: 2 })]), AbortSignal.timeout(20))).rejects.toMatchObject({
      code: 'STORE_TIMEOUT',
    })
    expect(server.inserts).toBe(sent)
    const correction = store.write(batch([row(10, 2, { power_w: 2 })]))
    server.meet = (run) => run()
    answer()
    await correction
    const [stored] = (await store.read((view) => view.recent(AT, 1)))!
    expect(stored).toMatchObject({ version: 2, metrics: { power_w: 2 } })
  })

  it('EM-5: after a broken connection the next write gives the server time to end what it had taken in', async () => {
    const server = new Server()
    const store = await sinkOf(server)
    let late: Promise<Rows> | null = null
    server.meet = async (run) => {
      late ??= new Promise((resolve) => setTimeout(resolve, 10)).then(run)
      throw brokenOff()
    }
    await expect(store.write(batch([row(10, 1, { power_w: 1 })]))).rejects.toBeInstanceOf(StoreOutageError)
    server.meet = (run) => run()
    await store.write(batch([row(10, 2, { power_w: 2 })]))
    await late
    expect((await store.read((view) => view.recent(AT, 1)))![0].version).toBe(2)
  })

  it('EM-3: what a killed sink had under way is applied before the next one writes, and overwrites nothing of it', async () => {
    const server = new Server()
    const killed = await sinkOf(server)
    let late: Promise<Rows> | null = null
    server.meet = (run) => {
      late ??= new Promise((resolve) => setTimeout(resolve, 10)).then(run)
      return new Promise(() => undefined)
    }
    await expect(killed.write(batch([row(10, 1, { power_w: 1 })]), AbortSignal.timeout(5))).rejects.toThrow()
    server.meet = (run) => run()
    const next = await sinkOf(server)
    await next.write(batch([row(10, 2, { power_w: 2 })]))
    await late
    expect((await next.read((view) => view.recent(AT, 1)))![0]).toMatchObject({ version: 2, metrics: { power_w: 2 } })
  })

  it.each<[string, (sink: TdengineStore) => Promise<unknown>]>([
    ['its partitions were reassigned', (sink) => sink.read((view) => view.progress())],
    ['it was frozen', async () => vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 3_001)],
  ])(
    'EM-3: what another sink has written meanwhile, while %s, is looked up, not remembered wrongly',
    async (_how, happens) => {
      const server = new Server()
      const [one, other] = [await sinkOf(server), await sinkOf(server)]
      await one.write(batch([row(100)], [step(null, 1)]))
      await other.write(batch([row(150, 9, { power_w: 9 }), row(200)], [step(1, 10)]))
      await happens(one)
      await expect(one.write(batch([row(150, 5)], [step(1, 6)]))).rejects.toMatchObject({ code: 'STORE_MOVED' })
      await one.write(batch([row(150, 5, { power_w: 5 })], [step(10, 11)]))
      const stored = (await one.read((view) => view.recent(AT, 10)))!
      expect(stored.map(({ ts, version }) => [ts, version])).toEqual([
        [200, 0],
        [150, 9],
        [100, 0],
      ])
    },
  )

  it('EM-3: what a write that failed has left behind is looked up, and what comes again is not counted again', async () => {
    const server = new Server()
    const store = await sinkOf(server)
    server.meet = async (run) => {
      await run()
      throw new StoreOutageError('TDengine: out of service')
    }
    await expect(store.write(batch([row(150, 9)]))).rejects.toBeInstanceOf(StoreOutageError)
    server.meet = (run) => run()
    await store.write(batch([row(150, 5), row(150, 9)]))
    await store.write(batch([row(150, 9), row(150, 12)]))
    expect((await store.read((view) => view.recent(AT, 1)))![0].version).toBe(12)
    // 5 and 9 gave way, 9 once although it was written three times.
    expect(await store.read((view) => view.countsPerSensor())).toEqual([{ ...AT, count: 1, superseded: 2 }])
    server.meet = async (run) => {
      await run()
      throw new StoreOutageError('TDengine: out of service')
    }
    await expect(store.write(batch([row(160, 9)]))).rejects.toBeInstanceOf(StoreOutageError)
    server.meet = (run) => run()
    await store.write(batch([row(160, 5)]))
    expect((await store.read((view) => view.recent(AT, 1)))![0].version).toBe(9)
  })

  it('X-3: rows that cannot be stored are poison, and leave progress where it was', async () => {
    const server = new Server()
    const store = await sinkOf(server)
    const several = batch([row(10), row(20, 0, { power_w: NaN }), row(30), row(40, 0, { seq: 2 ** 53 })])
    await expect(store.write({ ...several, anomalies: [anomaly({ score: NaN })] })).rejects.toMatchObject({
      code: 'STORE_POISON',
      refused: [
        { kind: 'reading', index: 1, reason: expect.stringContaining('power_w = NaN') },
        { kind: 'reading', index: 3, reason: expect.stringContaining('exactly') },
        { kind: 'anomaly', index: 0, reason: expect.stringContaining('score = NaN') },
      ],
    })
    const poisons = [{ power_w: NaN }, { seq: 2 ** 53 }, { tags: { label: 'x'.repeat(TAGS_JSON_CHARS) } }]
    for (const fields of [...poisons, { site_id: 'x'.repeat(ID_CHARS + 1) }])
      await expect(store.write(batch([row(10), row(20, 0, fields)], [step(null, 2)]))).rejects.toBeInstanceOf(
        StorePoisonError,
      )
    expect(await store.read((view) => view.progress())).toEqual([])
    await store.write(batch([row(10)], [step(null, 1)]))
    expect(await store.read((view) => view.recent(AT, 10))).toHaveLength(1)
  })

  it('tdengine 6: neither looks anything up for rows in order nor asks for progress that it has just written, and sends a batch in few statements', async () => {
    const server = new Server()
    const store = await sinkOf(server)
    const many = (from: number): Row[] =>
      Array.from({ length: 5_000 }, (_, i) => row(from + i, 0, { sensor_id: `s${i % 100}`, power_w: i / 7 }))
    await store.write(batch(many(0), [step(null, 1)]))
    server.standIn.statements.length = 0
    await store.write(batch(many(5_000), [step(1, 2)]))
    const inserts = server.standIn.statements
    expect(inserts.every((sql) => sql.startsWith('INSERT '))).toBe(true)
    expect(inserts.length).toBeLessThanOrEqual(3)
  })
})

describe('TDengine’s aggregates', () => {
  it('tdengine 6: growth takes few statements per thousand sensors, and none for what no metric asks', async () => {
    const server = new Server()
    const store = await sinkOf(server)
    const sensors = 2_500
    const rows = Array.from({ length: 2 * sensors }, (_, i) =>
      row(Math.floor(i / sensors), 0, { sensor_id: `s${i % sensors}`, energy_wh: i, power_w: 1 }),
    )
    await store.write(batch(rows, [step(null, 1)]))
    const query = { site: 'site', tenant: null, windowMs: 60_000, from: 0, to: 60_000 }
    const statementsFor = async (metric: string): Promise<number> => {
      server.standIn.statements.length = 0
      const { windows } = await store.read((view) => view.aggregate({ ...query, metrics: [metric] }))
      expect(windows[0].metrics[metric].count).toBe(2 * sensors)
      return server.standIn.statements.length
    }
    const others = await statementsFor('power_w')
    // One for what fell; per thousand: who moved, the ends of the windows, and what was before them.
    expect((await statementsFor('energy_wh')) - others).toBe(1 + 3 * 3)
  })
})

describe('TDengine’s migrations', () => {
  const fresh = (): StandIn => new StandIn('plumbline', 'plumbline_state')
  const applied = async (server: StandIn): Promise<Rows> =>
    server.query('SELECT migration_number,migration_name,ts FROM plumbline_state.migrations')

  it('TA-11: are applied once and in order from every earlier state, and again after one that was broken off', async () => {
    for (let known = 1; known <= TDENGINE_MIGRATIONS.length; known += 1) {
      const server = fresh()
      await migrateTdengine(server, 'plumbline', METRICS.slice(1), TDENGINE_MIGRATIONS.slice(0, known))
      await migrateTdengine(server, 'plumbline', METRICS)
      await migrateTdengine(server, 'plumbline', METRICS)
      const when = new Date(STATE_TS).toISOString()
      expect(await applied(server)).toEqual(TDENGINE_MIGRATIONS.map(({ number, name }) => [number, name, when]))
      const made = server.statements.filter((sql) => sql.includes(' plumbline.anomalies ('))
      expect(made).toHaveLength(1)
      expect(server.statements.filter((sql) => sql.includes(`ADD COLUMN ${METRICS[0].name} `))).toHaveLength(1)
    }
    const server = fresh()
    const broken = {
      query: async (sql: string) => (sql.includes('.progress (') ? Promise.reject(brokenOff()) : server.query(sql)),
    }
    await expect(migrateTdengine({ ...broken, close: async () => {} }, 'plumbline', METRICS)).rejects.toThrow(
      'broken off',
    )
    expect(await applied(server)).toEqual([])
    await migrateTdengine(server, 'plumbline', METRICS)
    expect(await applied(server)).toHaveLength(TDENGINE_MIGRATIONS.length)
  })

  it('tdengine 5: progress, places and joined numbers that were beside the readings are taken over', async () => {
    const server = new StandIn('plumbline', 'plumbline_state')
    // As the earlier layout was: everything in one database.
    const former = {
      query: (sql: string) => server.query(sql.replaceAll('plumbline_state.', 'plumbline.')),
      close: async () => {},
    }
    const options = { database: 'plumbline', access: 'write', settleMs: 0 } as const
    const before = new TdengineStore({ ...options, transport: former })
    await before.migrate()
    await before.write(batch([row(10), row(20, 0, { site_id: 'other' })], [step(null, 3)]))
    await before.write(batch([row(10, 4, { seq: 21 })], [step(3, 5)]))
    const expected = await stateOf(before)
    const after = new TdengineStore({
      ...options,
      transport: { query: (sql) => server.query(sql), close: former.close },
    })
    await after.migrate()
    expect(await stateOf(after)).toEqual(expected)
    expect(await after.read((view) => view.seqCount([AT]))).toEqual(await before.read((view) => view.seqCount([AT])))
    await after.write(batch([row(30)], [step(5, 6)]))
    expect(await after.read((view) => view.progress())).toMatchObject([{ offset: 6 }])
    await after.migrate()
    expect(await after.read((view) => view.progress())).toMatchObject([{ offset: 6 }])
  })

  it('TA-11: a store that a newer program has migrated is refused', async () => {
    const server = fresh()
    const newer = { number: 99, name: 'from the future', statements: () => [] }
    await migrateTdengine(server, 'plumbline', METRICS, [...TDENGINE_MIGRATIONS, newer])
    await expect(migrateTdengine(server, 'plumbline', METRICS)).rejects.toMatchObject({ code: 'STORE_TOO_NEW' })
  })
})
