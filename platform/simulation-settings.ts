// Settings of the simulated fleet and of the faults that it injects. They are apart from those of production: nothing in
// them concerns readings from outside, and a deployment without simulated nodes (FLEET_NODES=0) needs none of them.
import { int, num, setting } from './setting.ts'

export const FLEET_SETTINGS = {
  FLEET_NODES: setting(int(0, 10_000), '20', 'Simulated nodes; 0: none.'),
  FLEET_SENSORS: setting(int(1, 1_000_000), '200', 'Simulated sensors, shared among the nodes.'),
  FLEET_RATE_HZ: setting(num(0.001, 1_000), '10', 'Samples per sensor and second.'),
  FLEET_SEED: setting(int(0, 2 ** 31 - 1), '1', 'Seed of the fleet; the same seed gives the same readings.'),
  FLEET_OUT_OF_ORDER: setting(num(0, 0.5), '0.02', 'Share of readings that are sent late, out of order.'),
  FLEET_DUPLICATES: setting(num(0, 0.5), '0.007', 'Share of readings that are sent twice.'),
  FLEET_BURST_FACTOR: setting(num(1, 100), '1', 'Rate during a burst, as a multiple; 1: no bursts.'),
  FLEET_BURST_MS: setting(int(1, 3_600_000), '10000', 'Length of a burst, ms.'),
  FLEET_BURST_EVERY_MS: setting(int(1, 86_400_000), '60000', 'Time between the beginnings of bursts, ms.'),
  FLEET_ANOMALIES: setting(num(0, 0.1), '0.0005', 'Share of readings replaced by an outlier.'),
}

/** Faults on purpose (MI-6). Drops and clock steps concern simulated nodes; delay and outage all sends of the process. */
export const FAULT_SETTINGS = {
  FAULT_DROP_PROBABILITY: setting(num(0, 1), '0', 'Probability that a send is dropped.'),
  FAULT_ACK_DELAY_MS: setting(int(0, 60_000), '0', 'Delay added to every acknowledgement, ms.'),
  FAULT_OUTAGE_AT_MS: setting(
    int(0, 86_400_000),
    '10000',
    'When the injected broker outage begins, ms after the start.',
  ),
  FAULT_OUTAGE_MS: setting(int(0, 86_400_000), '0', 'Length of the injected broker outage, ms; 0: none.'),
  FAULT_CLOCK_STEP_MS: setting(
    int(-3_600_000, 3_600_000),
    '0',
    'Step put into the wall clock of every node after 10 s, ms.',
  ),
}
