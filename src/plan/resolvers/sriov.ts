import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';

/** Needs code because the number of a function stands for its place, and its address is a matter of the card's. */
export function resolveSriov(device: PlannedDevice, { facts, note, require }: PlanContext): Resolved {
  const parent = param<string>(device, 'parent') ?? '';
  const number = param<number>(device, 'vf') ?? 0;
  const pci = param<string>(device, 'pci');
  const mac = param<string>(device, 'mac');
  const link = facts.links?.[parent];
  const found = link?.functions?.[number];
  const origin = saidAt(device, 'vf');
  const unmet = (code: string, message: string, help: string): void =>
    require({ kind: 'unmet', code, message, help, origin });
  const set = `sudo ip link set ${parent} vf ${number} mac ${mac}`;
  if (!link)
    unmet(
      'interface-unknown',
      `nothing is known here about the card ${parent}`,
      'make the facts anew, where it is: ezvm facts',
    );
  else if (!found && link.kind !== 'missing')
    unmet(
      'function-missing',
      `the card ${parent} has ${link.functions?.length ?? 0} virtual functions, and none with the number ${number}`,
      `make some: echo ${number + 1} | sudo tee /sys/class/net/${parent}/device/sriov_numvfs`,
    );
  else if (found && pci !== null && pci !== found.pci)
    unmet(
      'function-differs',
      `function ${number} of ${parent} is at ${found.pci}, and ${device.id} says ${pci}`,
      'correct one of the two, or leave out `pci`',
    );
  else if (found?.mac === undefined && found)
    note({
      severity: 'warning',
      code: 'mac-unknown',
      message: `${device.id}: ip does not tell the address of function ${number} of ${parent}`,
      help: `to be sure of it: ${set}`,
      origin,
    });
  else if (found && found.mac !== mac)
    unmet(
      'mac-differs',
      `function ${number} of ${parent} has the address ${found.mac}, and ${device.id} wants ${mac}`,
      `give it that: ${set}`,
    );
  return { values: { host: pci ?? found?.pci ?? null } };
}
