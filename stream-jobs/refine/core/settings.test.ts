import { describe, expect, test } from 'vitest'
import { recordBatchOf } from '../../../platform/kafka/record-batch/record-batch.test-support.ts'
import { CONTROL_HEADER } from '../../../schemas/refine.ts'
import { recordOf, SETTINGS } from './arrivals.test-support.ts'
import { controlHeaders, readControl } from './control.ts'
import { type CoreSettings, parseSettings, settingsText } from './settings.ts'

const textWith = (changes: Record<string, unknown>): string => JSON.stringify({ ...SETTINGS, ...changes })

describe('settings of refine', () => {
  test('MI-5: come back from their text as they were, in one form for equal settings', () => {
    const shuffled = Object.fromEntries(Object.entries(SETTINGS).reverse()) as unknown as CoreSettings
    expect(parseSettings(settingsText(SETTINGS))).toEqual(SETTINGS)
    expect(settingsText(shuffled)).toBe(settingsText(SETTINGS))
    expect(Object.isFrozen(parseSettings(settingsText(SETTINGS)))).toBe(true)
  })

  test.each([
    ['window', 0],
    ['window', 1],
    ['window', 2.5],
    ['window', 1e9],
    ['gapBuffer', 0.5],
    ['gapBuffer', 1e9],
    ['holdBackBuffer', 1e9],
    ['minSamples', -1],
    ['gapTimeoutMs', -1],
    ['holdBackMs', 'soon'],
    ['futureMs', null],
    ['z', undefined],
  ])('MI-5: with %s %s are refused, and the message names it', (name, value) => {
    expect(() => parseSettings(textWith({ [name]: value }))).toThrow(
      expect.objectContaining({ code: 'SETTINGS', field: name, message: expect.stringContaining(name) }),
    )
  })

  test.each(['', 'null', '[]', '7', '{', '"text"'])('MI-5: %j are refused', (text) => {
    expect(() => parseSettings(text)).toThrow(expect.objectContaining({ code: 'SETTINGS' }))
  })

  test('MI-5: numbers that a snapshot could not give back are refused', () => {
    for (const name of Object.keys(SETTINGS)) {
      expect(() => parseSettings(textWith({ [name]: 0 }).replace(`"${name}":0`, `"${name}":1e999`)), name).toThrow(
        expect.objectContaining({ field: name }),
      )
    }
  })

  test('MI-5: thresholds by node, site and metric come back as they were', () => {
    const settings: CoreSettings = {
      ...SETTINGS,
      version: 7,
      zByNode: [['n', 0.5]],
      zBySite: [
        ['=1+1', 5],
        ['__proto__', 4],
        ['ü'.repeat(100), 6],
      ],
      zByMetric: [['power_w', 9]],
    }
    expect(parseSettings(settingsText(settings))).toEqual(settings)
  })

  test('MI-5: written before there were versions they are of version 0, without exceptions', () => {
    const { version, zByNode, zBySite, zByMetric, ...before } = SETTINGS
    expect([version, zByNode, zBySite, zByMetric]).toEqual([0, [], [], []])
    expect(parseSettings(JSON.stringify(before))).toEqual(SETTINGS)
  })

  test.each([
    ['version', -1],
    ['version', 1.5],
    ['zBySite', 'all'],
    ['zBySite', { site: 3 }],
    ['zBySite', [['site']]],
    ['zBySite', [['site', 0]]],
    ['zBySite', [['site', '3']]],
    ['zBySite', [['', 3]]],
    ['zBySite', [['x'.repeat(257), 3]]],
    ['zByNode', [['b', 3], ['a', 3]]], // prettier-ignore
    ['zByNode', [['a', 3], ['a', 4]]], // prettier-ignore
    ['zByMetric', Array.from({ length: 257 }, (_, i) => [`m${1000 + i}`, 3])],
  ])('MI-5: exceptions are bounded: %s %j is refused', (name, value) => {
    expect(() => parseSettings(textWith({ [name]: value }))).toThrow(
      expect.objectContaining({ code: 'SETTINGS', field: name }),
    )
  })

  test('MI-5: nothing but settings is taken from the text', () => {
    expect(parseSettings(textWith({ z: 4, more: 'than asked for' }))).toEqual({ ...SETTINGS, z: 4 })
  })
})

describe('a control record', () => {
  const read = (headers: { key: string; value: string }[]) =>
    readControl(recordBatchOf([{ key: null, value: null, headers }]), 0)

  test('is read as it was written', () => {
    expect(read(controlHeaders({ kind: 'tick' }))).toEqual({ kind: 'tick' })
    expect(read(controlHeaders({ kind: 'settings', settings: { ...SETTINGS, z: 5 } }))).toEqual({
      kind: 'settings',
      settings: { ...SETTINGS, z: 5 },
      overrules: -1,
    })
  })

  test('that nobody understands is unknown, and a reading with other headers is no control record', () => {
    expect(read([{ key: CONTROL_HEADER, value: 'stop' }])).toBe('unknown')
    expect(read([{ key: CONTROL_HEADER, value: 'settings' }])).toBe('unknown')
    expect(
      read([
        { key: CONTROL_HEADER, value: 'settings' },
        { key: 'plumbline.settings', value: '{"z":3}' },
      ]),
    ).toBe('unknown')
    expect(read([{ key: 'traceparent', value: '00-1' }])).toBeNull()
    expect(readControl(recordBatchOf([recordOf({})]), 0)).toBeNull()
  })
})
