// Ready mappings of well-known files. A format that comes with several headers has a variant for each: the first whose
// columns a file has. What a preset cannot know, such as the sensor of a file that names none, is asked for.
import { InputError } from '../../../../platform/errors.ts'
import type { PlanInput } from './plan.ts'

export interface Variant {
  readonly plan: PlanInput
  /** Columns that the file must have; none: taken where no other one fits. */
  readonly needs?: readonly string[]
  /** What the reader of a preview should know. */
  readonly note?: string
}

export interface Preset {
  readonly about: string
  readonly variants: readonly Variant[]
}

/** Of entities as Home Assistant's integrations name them. Energy is in kWh there, power in W. */
const ENTITIES = [
  'energy_wh=*_energy*1000',
  'power_w=*_power',
  'voltage_v=*_voltage',
  'current_a=*_current',
  'temperature_c=*_temperature',
  'humidity_pct=*_humidity',
  'pressure_hpa=*_pressure',
  'cpu_usage_pct=*_processor_use',
  'memory_usage_pct=*_memory_use_percent',
]
const emPhases = (parts: readonly string[]): string[] =>
  parts.flatMap((part) => {
    const [at, prefix] = part === '' ? ['', ''] : [`@${part}`, `${part}_`]
    return [
      // Wh of one minute: times 60 it is the mean power, W.
      `power_w${at}=${prefix}total_act_energy*60`,
      `voltage_v${at}=${prefix}avg_voltage`,
      `current_a${at}=${prefix}avg_current`,
    ]
  })
const emData = (parts: readonly string[]): Variant => ({
  needs: emPhases(parts).map((entry) => entry.replace(/^[^=]+=|\*60$/g, '')),
  plan: { format: 'csv', tsColumns: ['timestamp'], tsFormat: 's', map: emPhases(parts) },
  note: 'energy of one minute becomes the mean power of that minute; energy returned is not in it',
})
const emLog = (column: string): Variant => ({
  needs: ['Date/time UTC', column],
  plan: { format: 'csv', tsColumns: ['Date/time UTC'], tsFormat: 'iso', map: [`power_w=${column}*6`] },
  note: 'energy of ten minutes becomes the mean power of these minutes; energy returned is not in it',
})
const METEOSTAT = ['temperature_c=temp', 'humidity_pct=rhum', 'pressure_hpa=pres']
const meteostat = (needs: readonly string[], tsColumns: string[], tsFormat: string): Variant => ({
  needs: [...needs, 'temp'],
  plan: { format: 'csv', tsColumns, tsFormat, map: METEOSTAT },
  note: 'times are UTC',
})

export const PRESETS: Readonly<Record<string, Preset>> = {
  'household-power': {
    about: 'UCI Individual Household Electric Power Consumption: one household near Paris, a row a minute, power in kW',
    variants: [
      {
        plan: {
          format: 'csv',
          delimiter: ';',
          map: ['power_w=Global_active_power*1000', 'voltage_v=Voltage', 'current_a=Global_intensity'],
          tsColumns: ['Date', 'Time'],
          tsFormat: 'dd/mm/yyyy HH:MM:SS',
          sensor: 'household-1',
          tenant: 'uci',
          site: 'sceaux',
          missing: ['?'],
          tags: { source: 'uci-household-power' },
        },
      },
    ],
  },
  'uci-air-quality': {
    about: 'UCI Air Quality: decimal commas, -200 for missing values',
    variants: [
      {
        needs: ['Date', 'Time', 'T', 'RH'],
        plan: {
          format: 'csv',
          delimiter: ';',
          decimal: ',',
          map: ['temperature_c=T', 'humidity_pct=RH'],
          tsColumns: ['Date', 'Time'],
          tsFormat: 'dd/mm/yyyy HH.MM.SS',
          sensor: 'air-quality-1',
          tenant: 'uci',
          missing: ['-200'],
          tags: { source: 'uci-air-quality' },
        },
        note: 'gases are not among the metrics',
      },
    ],
  },
  'campbell-toa5': {
    about: 'Campbell Scientific loggers: header in line 2, units and processing after it. Give --sensor and --map',
    variants: [
      {
        needs: ['TIMESTAMP'],
        plan: {
          format: 'csv',
          headerLine: 2,
          unitsRows: 2,
          tsColumns: ['TIMESTAMP'],
          tsFormat: 'iso',
          missing: ['NAN', 'INF', '-INF', '7999', '-7999'],
        },
        note: 'times are the logger’s clock, which often keeps standard time all year: give --tz, such as -07:00',
      },
    ],
  },
  'home-assistant': {
    about: 'Home Assistant, History, Download data: one entity a row; each entity is a sensor',
    variants: [
      {
        needs: ['entity_id', 'state', 'last_changed'],
        plan: {
          format: 'csv',
          tsColumns: ['last_changed'],
          tsFormat: 'iso',
          namesColumn: 'entity_id',
          valueColumn: 'state',
          names: ENTITIES,
          where: ['state!=unavailable|unknown|none|'],
        },
        note: 'the metric is that of the entity’s name, and its unit is not in the file: energy is taken as kWh, power as W, temperature as °C',
      },
    ],
  },
  thingspeak: {
    about: 'ThingSpeak feeds: give --sensor and which field is which metric, such as --map temperature_c=field1',
    variants: [{ needs: ['created_at'], plan: { format: 'csv', tsColumns: ['created_at'], tsFormat: 'iso' } }],
  },
  shelly: {
    about: 'Shelly energy meters, emdata and em_data.csv. Give --sensor',
    variants: [
      emData(['a', 'b', 'c']),
      emData(['']),
      ...['Active energy Wh', 'Active energy Wh (1)', 'Active energy Wh (2)', 'Active energy Wh (A)'].map(emLog),
    ],
  },
  meteostat: {
    about: 'Meteostat, hourly, with and without a header. Give --sensor, such as the station',
    variants: [
      meteostat(['year', 'month', 'day', 'hour'], ['year', 'month', 'day', 'hour'], 'yyyy mm dd HH'),
      meteostat(['date', 'hour'], ['date', 'hour'], 'yyyy-mm-dd HH'),
      meteostat(['time'], ['time'], 'iso'),
      {
        plan: {
          format: 'csv',
          columns: 'date,hour,temp,dwpt,rhum,prcp,snow,wdir,wspd,wpgt,pres,tsun,coco'.split(','),
          tsColumns: ['date', 'hour'],
          tsFormat: 'yyyy-mm-dd HH',
          map: METEOSTAT,
        },
        note: 'times are UTC; the file has no header, its columns are taken as in Meteostat’s bulk data',
      },
    ],
  },
}

/**
 * @param headerAt the cells of a line, from 1
 * @throws InputError PRESET
 */
export function variantOf(name: string, headerAt: (line: number, delimiter: string) => readonly string[]): Variant {
  const preset = PRESETS[name]
  if (preset === undefined)
    throw new InputError('PRESET', 'preset', `there is no preset ${name}; there are ${Object.keys(PRESETS).join(', ')}`)
  const { variants } = preset
  const found = variants.find(({ plan, needs = [] }) => {
    const header = headerAt(plan.headerLine ?? 1, plan.delimiter ?? ',')
    return needs.every((column) => header.includes(column))
  })
  if (found !== undefined) return found
  const asked = variants.map(({ needs = [] }) => needs.join(', ')).join('; or ')
  throw new InputError('PRESET', 'preset', `the file is not one of ${name}: it needs the columns ${asked}`)
}
