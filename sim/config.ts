// The configuration of a run's processes: Plumbline's defaults with the scenario's settings, in a folder of its own.
import { join } from 'node:path'
import { type Config, loadConfig } from '../platform/config.ts'
import type { Scenario } from './scenario.ts'

export const configOf = ({ settings, partitions }: Scenario, folder: string): Config =>
  loadConfig({
    ...settings,
    TOPIC_PARTITIONS: String(partitions),
    DATA_DIR: folder,
    SQLITE_FILE: join(folder, 'store.sqlite'),
  })
