// The settings of the simulated fleet as what its parts ask for.
import type { Config } from '../../platform/config.ts'
import type { FAULT_SETTINGS, FLEET_SETTINGS } from '../../platform/simulation-settings.ts'
import type { FaultOptions } from './core/faults.ts'
import type { SamplerOptions } from './core/sampler.ts'

export type FleetConfig = Pick<Config, keyof typeof FLEET_SETTINGS | 'DATA_DIR' | 'RING_CAPACITY'>

export const faultOptions = (config: Pick<Config, keyof typeof FAULT_SETTINGS | 'FLEET_SEED'>): FaultOptions => ({
  seed: config.FLEET_SEED,
  dropProbability: config.FAULT_DROP_PROBABILITY,
  ackDelayMs: config.FAULT_ACK_DELAY_MS,
  outageAtMs: config.FAULT_OUTAGE_AT_MS,
  outageMs: config.FAULT_OUTAGE_MS,
  clockStepMs: config.FAULT_CLOCK_STEP_MS,
})

export const samplerOptions = (config: FleetConfig, sensors: number): SamplerOptions => ({
  sensors,
  rateHz: config.FLEET_RATE_HZ,
  bursts: {
    factor: config.FLEET_BURST_FACTOR,
    lengthMs: config.FLEET_BURST_MS,
    everyMs: config.FLEET_BURST_EVERY_MS,
  },
})
