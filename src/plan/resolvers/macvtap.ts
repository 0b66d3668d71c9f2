import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';

/** Needs code because the interface's number names the device that QEMU is handed, and only its own address gets through. */
export function resolveMacvtap(device: PlannedDevice, { facts, require, open }: PlanContext): Resolved {
  const name = param<string>(device, 'ifname') ?? '';
  const link = facts.links?.[name];
  const mac = param<string>(device, 'mac');
  const origin = saidAt(device, 'ifname');
  if (link?.kind !== 'macvtap') {
    // Where it was looked for, it is told elsewhere what is wrong.
    const code = 'interface-unknown';
    const message = `nothing is known here about the network interface ${name}`;
    if (!link) require({ kind: 'unmet', code, message, help: 'make the facts anew, where it is: ezvm facts', origin });
    return { values: { fd: null, mac } };
  }
  if (mac !== null && mac !== link.mac)
    require({
      kind: 'unmet',
      code: 'mac-differs',
      message: `${name} lets through what is for ${link.mac}, and ${device.id} has ${mac}`,
      help: `leave out \`mac\`, or give it to the interface: sudo ip link set ${name} address ${mac}`,
      origin: saidAt(device, 'mac'),
    });
  const path = `/dev/tap${link.index}`;
  const fd = open({ path, type: 'character', access: 'write', direct: false, exclusive: false, origin });
  return { values: { fd: String(fd), mac: mac ?? link.mac ?? null } };
}
