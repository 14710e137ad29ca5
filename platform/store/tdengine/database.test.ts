// Settings of the database against one that exists; the WAL's, which a power cut depends on.
import { describe, expect, it } from 'vitest'
import { type DatabaseSettings, ensureDatabase } from './database.ts'
import { StandIn } from './stand-in.test-support.ts'

const ensure = (server: StandIn, settings: DatabaseSettings = {}): Promise<void> =>
  ensureDatabase(server, 'plumbline', settings)

describe('tdengine 5: the database', () => {
  it('forces its log to disk at every write, and has the settings that were chosen', async () => {
    const server = new StandIn()
    await ensure(server, { vgroups: 2, replica: 1, durationDays: 10, cacheModel: 'none' })
    expect(server.statements.concat()[0]).toBe(
      "CREATE DATABASE IF NOT EXISTS plumbline PRECISION 'ms' KEEP 36500 DURATION 10d VGROUPS 2 REPLICA 1 CACHEMODEL 'none' WAL_LEVEL 2 WAL_FSYNC_PERIOD 0",
    )
  })

  it('keeps readings for as long as is said, and what it knows of progress for ever', async () => {
    const server = new StandIn()
    server.options.keep = '43200m,43200m,43200m'
    await ensure(server, { keepDays: 30, replica: 3 }).catch(() => undefined)
    expect(server.statements.slice(0, 2)).toEqual([
      "CREATE DATABASE IF NOT EXISTS plumbline PRECISION 'ms' KEEP 30 REPLICA 3 WAL_LEVEL 2 WAL_FSYNC_PERIOD 0",
      "CREATE DATABASE IF NOT EXISTS plumbline_state PRECISION 'ms' KEEP 36500 VGROUPS 1 REPLICA 3 WAL_LEVEL 2 WAL_FSYNC_PERIOD 0",
    ])
  })

  it('that an earlier version made is made to force its log', async () => {
    const server = new StandIn()
    Object.assign(server.options, { wal_level: 1, wal_fsync_period: 3_000 })
    await ensure(server)
    expect(server.options).toMatchObject({ wal_level: 2, wal_fsync_period: 0 })
  })

  it.each<[DatabaseSettings, string]>([
    [
      { keepDays: 30_000 },
      'TDENGINE_KEEP_D is 30000 and the database plumbline has 36500; run ALTER DATABASE plumbline KEEP 30000',
    ],
    [{ vgroups: 8 }, 'TDENGINE_VGROUPS is 8 and the database plumbline has 2; it cannot be changed'],
    [{ replica: 3 }, 'TDENGINE_REPLICA is 3 and the database plumbline has 1; run ALTER DATABASE plumbline REPLICA 3'],
    [{ durationDays: 30 }, 'TDENGINE_DURATION_D is 30 and the database plumbline has 10; it cannot be changed'],
    [{ cacheModel: 'last_row' }, 'TDENGINE_CACHEMODEL is last_row and the database plumbline has none; run ALTER'],
    [
      { keepDays: 30 },
      'TDENGINE_KEEP_D is 30 and the database plumbline has 36500; run ALTER DATABASE plumbline KEEP 30',
    ],
  ])('that differs from %j is refused with what helps', async (settings, words) => {
    const refused = ensure(new StandIn(), settings)
    await expect(refused).rejects.toMatchObject({ code: 'STORE_SETTINGS', retriable: false })
    await expect(refused).rejects.toThrow(words)
  })

  it('with a cache that answers outdated values is refused', async () => {
    const server = new StandIn()
    server.options.cachemodel = 'both'
    await expect(ensure(server)).rejects.toThrow("run ALTER DATABASE plumbline CACHEMODEL 'none'")
  })
})
