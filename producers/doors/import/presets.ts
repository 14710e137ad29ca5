// Ready mappings of well-known files.
import type { MappingOptions } from './mapping.ts'

export interface Preset {
  readonly format: 'csv'
  readonly delimiter: string
  readonly mapping: MappingOptions
}

export const PRESETS: Readonly<Record<string, Preset>> = {
  // UCI Individual Household Electric Power Consumption: one household near Paris, a row a minute, power in kW.
  'household-power': {
    format: 'csv',
    delimiter: ';',
    mapping: {
      map: ['power_w=Global_active_power*1000', 'voltage_v=Voltage', 'current_a=Global_intensity'],
      tsColumns: ['Date', 'Time'],
      tsFormat: 'dd/mm/yyyy HH:MM:SS',
      sensor: 'household-1',
      tenant: 'uci',
      site: 'sceaux',
      missing: '?',
      tags: { source: 'uci-household-power' },
    },
  },
}
