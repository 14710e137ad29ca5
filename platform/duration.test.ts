import { expect, it } from 'vitest'
import { InputError } from './errors.ts'
import { parseDuration, showDuration } from './duration.ts'

it('durations are read with their unit', () => {
  expect(['500ms', '60s', '1.5m', '2h'].map((text) => parseDuration(text, '--for'))).toEqual([
    500, 60_000, 90_000, 7_200_000,
  ])
})

it.each(['60', '', '-5s', '0s', '1000h', '5 s', 'NaNs'])('%j is refused, naming the option', (text) => {
  expect(() => parseDuration(text, '--for')).toThrow(InputError)
  expect(() => parseDuration(text, '--for')).toThrow('--for')
})

it('durations are shown in at most two units', () => {
  expect([999, 59_999, 72_000, 7_500_000, 100 * 3_600_000].map(showDuration)).toEqual([
    '0 s',
    '59 s',
    '1 min 12 s',
    '2 h 5 min',
    '4 d 4 h',
  ])
})
