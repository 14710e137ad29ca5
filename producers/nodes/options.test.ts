// The fleet's options: what is given on a command line arrives in the producers' process, which `up` starts with them.
import { Command } from 'commander'
import { expect, test } from 'vitest'
import {
  commanderOptions,
  FAULT_OPTIONS,
  FLEET_OPTIONS,
  fleetArguments,
  fleetOf,
  type FleetSettings,
  fleetWith,
} from './options.ts'

function parsed(...args: string[]): FleetSettings {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => undefined })
  for (const option of commanderOptions({ ...FLEET_OPTIONS, ...FAULT_OPTIONS })) command.addOption(option)
  return fleetOf(command.parse(args, { from: 'user' }).opts())
}

test('without options there are no simulated nodes and no faults', () => {
  expect(parsed()).toEqual(fleetWith({}))
  expect(parsed()).toMatchObject({ nodes: 0, dropProbability: 0, ackDelayMs: 0, outageMs: 0, clockStepMs: 0 })
})

test('settings that are passed on arrive as they are, whatever their size and sign', () => {
  const fleet = fleetWith({ nodes: 3, rateHz: 0.5, burstMs: 1_500, outageMs: 2_000, clockStepMs: -60_001, seed: 0 })
  expect(parsed(...fleetArguments(fleet))).toEqual(fleet)
})

test('the last one of a name counts, so that a default can be overruled', () => {
  expect(parsed('--nodes', '20', '--nodes', '2').nodes).toBe(2)
})

test('durations have a unit, and a clock may step back', () => {
  expect(parsed('--fault-outage', '5s', '--fault-clock-step', '-1m')).toMatchObject({
    outageMs: 5_000,
    clockStepMs: -60_000,
  })
})

test.each([
  ['--nodes', '1.5'],
  ['--nodes', ''],
  ['--nodes', '10001'],
  ['--rate', '0'],
  ['--out-of-order', '0.51'],
  ['--burst-length', '10'],
  ['--burst-length', '0s'],
  ['--fault-ack-delay', '-1s'],
  ['--fault-clock-step', '2h'],
])('%s %j is refused, naming the option and its bounds', (flag, value) => {
  expect(() => parsed(`${flag}=${value}`)).toThrow(new RegExp(`${flag}.* expected .*from`))
})
