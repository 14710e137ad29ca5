// The runtime configuration: versions increase by one, a confirmed change is in the log exactly as made, and every
// partition has been told the newest version, in its input, where a replay finds it (MI-5).
import avsc from 'avsc'
import { FRAME_BYTES } from '../../platform/codec/reading.ts'
import type { RuntimeConfig } from '../../platform/runtime-config/document.ts'
import { loadSchema } from '../../schemas/load.ts'
import { CONFIG, RAW, SNAPSHOTS } from '../../schemas/topics.ts'
import { controlHeaders } from '../../stream-jobs/refine/core/control.ts'
import type { CoreSettings } from '../../stream-jobs/refine/core/settings.ts'
import { type SnapshotChunk, snapshotType } from '../../stream-jobs/refine/core/snapshot.ts'
import type { SimBroker } from '../broker/broker.ts'
import { type Check, committed } from './evidence.ts'

const configType = avsc.Type.forSchema(loadSchema('config') as unknown as avsc.Schema)
/** The core's name for the header that carries settings. */
const SETTINGS_HEADER = controlHeaders({ kind: 'settings', settings: {} as CoreSettings })[1].key

export const versionsOf = (broker: SimBroker): RuntimeConfig[] =>
  committed(broker, CONFIG).map(({ value }) => configType.fromBuffer(value!.subarray(FRAME_BYTES)) as RuntimeConfig)

/** The newest version that each partition of raw was told, or started with; 0 if none. */
export function toldByPartition(broker: SimBroker, partitions: number): number[] {
  const told = new Array<number>(partitions).fill(0)
  for (const { partition, headers } of committed(broker, RAW)) {
    const text = headers.find(({ key }) => key === SETTINGS_HEADER)?.value?.toString()
    if (text !== undefined) told[partition] = Math.max(told[partition], versionIn(text))
  }
  for (const { partition, value } of committed(broker, SNAPSHOTS)) {
    const { settings } = snapshotType.fromBuffer(value!.subarray(FRAME_BYTES)) as SnapshotChunk
    told[partition] = Math.max(told[partition], versionIn(settings))
  }
  return told
}

const versionIn = (settings: string): number => (JSON.parse(settings) as CoreSettings).version

export const versionsGrowByOne: Check = ({ broker }) => {
  const versions = versionsOf(broker).map(({ version }) => version)
  const wrong = versions.findIndex((version, i) => version !== i + 1)
  return wrong < 0 ? [] : [`version ${wrong + 1} of the configuration has the number ${versions[wrong]}`]
}

export const confirmedChangesHold: Check = ({ broker, confirmed }) => {
  const versions = new Map(versionsOf(broker).map((one) => [one.version, one]))
  return confirmed
    .filter(({ version, scopes }) => versions.get(version)?.scopes.fleet['detector.z'] !== scopes.fleet['detector.z'])
    .map(({ version }) => `version ${version} was confirmed and is another one, or none`)
}
