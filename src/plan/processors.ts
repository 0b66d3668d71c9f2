import { type PlannedDevice, param } from './device.ts';

/** How many processors there are, with those that are plugged in later. */
export function countProcessors(cpu: PlannedDevice): number {
  const count = (name: string): number => param<number>(cpu, name) ?? 1;
  return ['sockets', 'dies', 'clusters', 'cores', 'threads'].reduce((product, name) => product * count(name), 1);
}
