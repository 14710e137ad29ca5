// A small file of each format that loggers and services write, with values that were invented, the options of the command
// line that import it, and the readings that it must become.

export interface Format {
  readonly name: string
  readonly file: string
  readonly content: Buffer
  readonly args: readonly string[]
  /** Sensor, time, and the metrics. */
  readonly readings: readonly (readonly [sensor: string, time: string, metrics: Readonly<Record<string, number>>])[]
}

const utf8 = (...lines: string[]): Buffer => Buffer.from(`${lines.join('\r\n')}\r\n`)

export const FORMATS: readonly Format[] = [
  {
    name: 'Campbell TOA5',
    file: 'CR1000_Table1.dat',
    content: utf8(
      '"TOA5","hill","CR1000","1031","CR1000.Std.00.60","CPU:hill.CR1","4062","Table1"',
      '"TIMESTAMP","RECORD","BattV_Min","AirT_Avg","AirT2_Avg","RH"',
      '"TS","RN","Volts","Deg C","Deg C","%"',
      '"","","Min","Avg","Avg","Smp"',
      '"2024-03-09 23:45:00",0,13.7,-4.25,-4.5,81.5',
      '"2024-03-10 02:30:00.5",1,13.65,"NAN",-4.75,82',
      '"2024-03-10 03:00:00",2,"NAN","NAN","NAN","NAN"',
    ),
    args: [
      ...['--preset', 'campbell-toa5', '--sensor', 'hill', '--tz', '-07:00', '--map', 'voltage_v=BattV_Min'],
      ...['--map', 'temperature_c=AirT_Avg', '--map', 'humidity_pct=RH', '--map', 'temperature_c@t2=AirT2_Avg'],
    ],
    readings: [
      ['hill', '2024-03-10T06:45:00.000Z', { voltage_v: 13.7, temperature_c: -4.25, humidity_pct: 81.5 }],
      ['hill.t2', '2024-03-10T06:45:00.000Z', { temperature_c: -4.5 }],
      ['hill', '2024-03-10T09:30:00.500Z', { voltage_v: 13.65, humidity_pct: 82 }],
      ['hill.t2', '2024-03-10T09:30:00.500Z', { temperature_c: -4.75 }],
    ],
  },
  {
    name: 'UCI air quality',
    file: 'AirQualityUCI.csv',
    content: utf8(
      'Date;Time;CO(GT);PT08.S1(CO);T;RH;AH;;',
      '10/03/2004;18.00.00;2,6;1360;13,6;48,9;0,7578;;',
      '10/03/2004;19.00.00;-200;1292;-200;47,7;-200;;',
      '10/03/2004;20.00.00;2,2;1402;-200,0;-200;-200;;',
      ';;;;;;;;',
    ),
    args: ['--preset', 'uci-air-quality', '--tz', 'Europe/Rome'],
    readings: [
      ['air-quality-1', '2004-03-10T17:00:00.000Z', { temperature_c: 13.6, humidity_pct: 48.9 }],
      ['air-quality-1', '2004-03-10T18:00:00.000Z', { humidity_pct: 47.7 }],
    ],
  },
  {
    name: 'UCI household power',
    file: 'household.txt',
    content: utf8(
      'Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;Sub_metering_1',
      '16/12/2006;17:24:00;4.216;0.418;234.840;18.400;0.000',
      '16/12/2006;17:25:00;?;?;?;?;?',
    ),
    args: ['--preset', 'household-power'],
    readings: [['household-1', '2006-12-16T17:24:00.000Z', { power_w: 4216, voltage_v: 234.84, current_a: 18.4 }]],
  },
  {
    name: 'Home Assistant history',
    file: 'history.csv',
    content: utf8(
      'entity_id,state,last_changed',
      'sensor.kitchen_temperature,21.5,2025-01-05T10:00:00.000Z',
      'sensor.kitchen_temperature,unavailable,2025-01-05T10:05:00.000Z',
      'sensor.kitchen_temperature,21.75,2025-01-05T10:10:00.250Z',
      'sensor.house_power,1234.5,2025-01-05T10:00:00.000Z',
      'sensor.house_energy,120.25,2025-01-05T10:00:01.000Z',
      'sensor.house_power,unknown,2025-01-05T10:01:00.000Z',
      'light.hall,on,2025-01-05T10:02:00.000Z',
    ),
    args: ['--preset', 'home-assistant'],
    readings: [
      ['sensor.kitchen_temperature', '2025-01-05T10:00:00.000Z', { temperature_c: 21.5 }],
      ['sensor.kitchen_temperature', '2025-01-05T10:10:00.250Z', { temperature_c: 21.75 }],
      ['sensor.house_power', '2025-01-05T10:00:00.000Z', { power_w: 1234.5 }],
      ['sensor.house_energy', '2025-01-05T10:00:01.000Z', { energy_wh: 120250 }],
    ],
  },
  {
    name: 'ThingSpeak',
    file: 'feeds.csv',
    content: utf8(
      'created_at,entry_id,field1,field2,latitude,longitude,elevation,status',
      '2021-02-18 21:46:23 UTC,101,18.5,55,,,,',
      '2023-01-06T16:44:16+00:00,102,12.600000,,,,,ok',
      '2023-01-06T11:44:36-05:00,103,,69.75,,,,',
    ),
    args: [
      ...['--preset', 'thingspeak', '--sensor', 'channel-9', '--map', 'temperature_c=field1'],
      ...['--map', 'humidity_pct=field2'],
    ],
    readings: [
      ['channel-9', '2021-02-18T21:46:23.000Z', { temperature_c: 18.5, humidity_pct: 55 }],
      ['channel-9', '2023-01-06T16:44:16.000Z', { temperature_c: 12.6 }],
      ['channel-9', '2023-01-06T16:44:36.000Z', { humidity_pct: 69.75 }],
    ],
  },
  {
    name: 'Shelly with three phases',
    file: 'emdata.csv',
    content: utf8(
      'timestamp,a_total_act_energy,a_avg_voltage,a_avg_current,b_total_act_energy,b_avg_voltage,b_avg_current,c_total_act_energy,c_avg_voltage,c_avg_current,n_avg_current',
      '1771180620,0.2,214.5,0.62,0.25,206,0.75,0,216,0,0.97',
    ),
    args: ['--preset', 'shelly', '--sensor', 'shelly-1'],
    readings: [
      ['shelly-1.a', '2026-02-15T18:37:00.000Z', { power_w: 12, voltage_v: 214.5, current_a: 0.62 }],
      ['shelly-1.b', '2026-02-15T18:37:00.000Z', { power_w: 15, voltage_v: 206, current_a: 0.75 }],
      ['shelly-1.c', '2026-02-15T18:37:00.000Z', { power_w: 0, voltage_v: 216, current_a: 0 }],
    ],
  },
  {
    name: 'Shelly EM log',
    file: 'em_data.csv',
    content: utf8(
      'Date/time UTC,Active energy Wh (1),Returned energy Wh (1),Min V,Max V',
      '2025-12-27 00:00,2.10,0.00,232.0,233.5',
      '2025-12-27 00:10,2.25,0.00,231.0,233.0',
    ),
    args: ['--preset', 'shelly', '--sensor', 'shelly-em'],
    readings: [
      ['shelly-em', '2025-12-27T00:00:00.000Z', { power_w: 12.6 }],
      ['shelly-em', '2025-12-27T00:10:00.000Z', { power_w: 13.5 }],
    ],
  },
  {
    name: 'Meteostat without a header',
    file: '10637.csv',
    content: utf8('2024-06-30,23,18.1,9.9,59,,,250,11.2,,1016.4,,3', '2024-07-01,0,17.4,9.6,60,,,240,9.4,,1016.2,,3'),
    args: ['--preset', 'meteostat', '--sensor', '10637'],
    readings: [
      ['10637', '2024-06-30T23:00:00.000Z', { temperature_c: 18.1, humidity_pct: 59, pressure_hpa: 1016.4 }],
      ['10637', '2024-07-01T00:00:00.000Z', { temperature_c: 17.4, humidity_pct: 60, pressure_hpa: 1016.2 }],
    ],
  },
  {
    name: 'Meteostat with a header',
    file: '10637-2023.csv',
    content: utf8(
      'year,month,day,hour,temp,temp_source,rhum,rhum_source,pres,pres_source',
      '2023,1,1,0,10.9,dwd,76,dwd,1021,dwd',
      '2023,12,31,23,8,dwd,,,1003.5,dwd',
    ),
    args: ['--preset', 'meteostat', '--sensor', '10637'],
    readings: [
      ['10637', '2023-01-01T00:00:00.000Z', { temperature_c: 10.9, humidity_pct: 76, pressure_hpa: 1021 }],
      ['10637', '2023-12-31T23:00:00.000Z', { temperature_c: 8, pressure_hpa: 1003.5 }],
    ],
  },
  {
    name: 'long form, TAB, comments, UTF-16, a day whose clocks go back',
    file: 'long.tsv',
    content: Buffer.from(
      '\uFEFF# logger 7\ntime\tdevice\tquantity\tvalue\n' +
        '26.10.2025 02:30\tKühlhaus\ttemp\t4,5\n26.10.2025 02:30\tKühlhaus\thum\t71\n' +
        '# read twice, the earlier one is meant\n26.10.2025 02:45\tKühlhaus\ttemp\t4,75\n26.10.2025 03:00\tKühlhaus\ttemp\t5\n' +
        '26.10.2025 03:00\tKühlhaus\tdoor\topen\n',
      'utf16le',
    ),
    args: [
      ...['--encoding', 'utf-16le', '--delimiter', 'tab', '--comment', '#', '--decimal', ',', '--ts-columns', 'time'],
      ...['--ts-format', 'dd.mm.yyyy HH:MM', '--tz', 'Europe/Berlin', '--tz-twice', 'earlier'],
      ...['--sensor-column', 'device', '--names-column', 'quantity', '--value-column', 'value'],
      ...['--name', 'temperature_c=temp', '--name', 'humidity_pct=hum'],
    ],
    readings: [
      ['Kühlhaus', '2025-10-26T00:30:00.000Z', { temperature_c: 4.5, humidity_pct: 71 }],
      ['Kühlhaus', '2025-10-26T00:45:00.000Z', { temperature_c: 4.75 }],
      ['Kühlhaus', '2025-10-26T02:00:00.000Z', { temperature_c: 5 }],
    ],
  },
  {
    name: 'JSON lines of others, with a byte order mark',
    file: 'events.jsonl',
    content: Buffer.from(
      '\uFEFF{"device":"d1","at":1.66384623162e+12,"kw":1.5,"epoch":4,"seq":9}\n{"device":"d1","at":1663846232000,"kw":2,"epoch":4,"seq":9}\n',
    ),
    args: ['--sensor-column', 'device', '--ts-columns', 'at', '--map', 'power_w=kw*1000'],
    readings: [
      ['d1', '2022-09-22T11:30:31.620Z', { power_w: 1500 }],
      ['d1', '2022-09-22T11:30:32.000Z', { power_w: 2000 }],
    ],
  },
]
