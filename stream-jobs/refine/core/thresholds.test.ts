import { describe, expect, test } from 'vitest'
import { recordBatchOf } from '../../../platform/kafka/record-batch/record-batch.test-support.ts'
import { METRICS } from '../../../schemas/metrics.ts'
import { feed, newCore, Recorder, recordOf, SETTINGS, settingsRecord, START_MS } from './arrivals.test-support.ts'
import type { CoreSettings } from './settings.ts'

/** A core that has seen some steady readings of the sensor, and then one that is 53 deviations off. */
function thresholdOf(settings: Partial<CoreSettings>, place: { site_id: string; node_id: string }): number | null {
  const out = new Recorder()
  const core = newCore(out, { ...SETTINGS, z: 0.1, window: 8, ...settings })
  const values = [1, 2, 1, 2, 1, 2, 1, 2, 30]
  const records = values.map((power_w, seq) => recordOf({ ...place, epoch: 1, seq, ts: START_MS + seq, power_w }))
  feed(core, [recordBatchOf(records, { appendTime: START_MS })])
  const last = out.of('anomalies').at(-1)
  return last === undefined ? null : (JSON.parse(last.detail) as { threshold: number }).threshold
}

describe('the threshold of a reading (MI-5, MI-12)', () => {
  const all: Partial<CoreSettings> = {
    z: 0.1,
    zByNode: [['n', 0.4]],
    zBySite: [['site', 0.3]],
    zByMetric: [['power_w', 0.2]],
  }

  test.each([
    ['node before site', all, { site_id: 'site', node_id: 'n' }, 0.4],
    ['site before metric', all, { site_id: 'site', node_id: 'other' }, 0.3],
    ['metric before fleet', all, { site_id: 'other', node_id: 'other' }, 0.2],
    ['node without a site', all, { site_id: '', node_id: 'n' }, 0.4],
    ['fleet', { z: 0.1 }, { site_id: 'site', node_id: 'n' }, 0.1],
    ['fleet, the metric being another one', { zByMetric: [['cpu_usage_pct', 9]] as const }, { site_id: 's', node_id: 'n' }, 0.1],
    ['a name that an object would have', { zBySite: [['constructor', 0.7]] as const }, { site_id: 'constructor', node_id: 'n' }, 0.7],
  ] as [string, Partial<CoreSettings>, { site_id: string; node_id: string }, number][])('is the most specific one: %s', (_name, settings, place, expected) => {
    expect(thresholdOf(settings, place)).toBe(expected)
  }) // prettier-ignore

  test('holds back what it was raised above', () => {
    expect(thresholdOf({ zByNode: [['n', 900]] }, { site_id: 'site', node_id: 'n' })).toBeNull()
    expect(thresholdOf({ z: 1_000, zByNode: [] }, { site_id: 'site', node_id: 'n' })).toBeNull()
  })

  test('follows a sensor that moves, also within one batch and after a change', () => {
    const out = new Recorder()
    const core = newCore(out, { ...SETTINGS, z: 1_000, window: 4, zBySite: [['noisy', 0.1]] })
    const at = (seq: number, site_id: string, power_w: number) =>
      recordOf({ site_id, epoch: 1, seq, ts: START_MS + seq, power_w })
    feed(core, [
      recordBatchOf(
        [
          ...[0, 1, 2, 3].map((seq) => at(seq, 'quiet', seq % 2)),
          at(4, 'quiet', 50), // not at this site
          at(5, 'noisy', 90),
          settingsRecord({ ...SETTINGS, z: 1_000, window: 4, version: 1, zBySite: [['noisy', 500]] }),
          at(6, 'noisy', 900),
          at(7, 'quiet', 9_000),
        ],
        { appendTime: START_MS },
      ),
    ])
    expect(out.of('anomalies').map(({ detail }) => (JSON.parse(detail) as { threshold: number }).threshold)).toEqual([
      0.1,
    ])
  })

  test('is the same for a reading that waited for its turn', () => {
    const out = new Recorder()
    const core = newCore(out, { ...SETTINGS, z: 1_000, window: 8, zByNode: [['n', 0.5]] })
    const order = [0, 1, 2, 3, 5, 4]
    const records = order.map((seq) =>
      recordOf({
        node_id: seq === 5 ? 'n' : 'm',
        epoch: 1,
        seq,
        ts: START_MS + seq,
        power_w: seq === 5 ? 99 : seq % 2,
      }),
    )
    feed(core, [recordBatchOf(records, { appendTime: START_MS })])
    expect(out.of('anomalies')).toHaveLength(1)
  })

  test('there is one for every metric', () => {
    expect(METRICS.length).toBeGreaterThan(1)
    const zByMetric = METRICS.map(({ name }, i) => [name, i + 1] as const).sort(([a], [b]) => (a < b ? -1 : 1))
    expect(thresholdOf({ zByMetric }, { site_id: '', node_id: '' })).toBe(
      METRICS.findIndex(({ name }) => name === 'power_w') + 1,
    )
  })
})

describe('settings of an older version (MI-5)', () => {
  test('never replace newer ones, however controls are repeated or come late', () => {
    const core = newCore(new Recorder())
    const say = (settings: Partial<CoreSettings>) =>
      feed(core, [recordBatchOf([settingsRecord({ ...SETTINGS, ...settings })], { appendTime: START_MS })])
    say({ version: 2, z: 5 })
    say({ version: 1, z: 9 })
    expect([core.settings.version, core.settings.z]).toEqual([2, 5])
    // The environment of another owner, at the same version.
    say({ version: 2, z: 6 })
    expect(core.settings.z).toBe(6)
    say({ version: 3, z: 7 })
    say({ version: 3, z: 7 })
    expect([core.settings.version, core.settings.z, core.ledger.control]).toEqual([3, 7, 5])
  })
})
