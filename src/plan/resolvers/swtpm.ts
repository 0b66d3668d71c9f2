import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

/** Needs code because swtpm splits its options at commas and knows no escape. */
export function resolveSwtpm(device: PlannedDevice, { stateDir, refuse }: PlanContext): Resolved {
  const state = param<string>(device, 'state');
  if (state === null) return { values: { state: `dir=${stateDir}/tpm,mode=0600` } };
  if (state.includes(','))
    refuse({
      code: 'combination-refused',
      message: `tpm.state is ${JSON.stringify(state)}, and swtpm takes no comma in a path`,
      help: 'rename the file, or make a link to it',
      origin: device.params['state']?.origin ?? device.origin,
    });
  // No mode: a device that holds the state keeps the one it has.
  return { values: { state: `backend-uri=file://${state}` } };
}
