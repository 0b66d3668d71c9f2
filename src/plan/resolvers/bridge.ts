import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';
import { bridgeLine, helpByHelper, makesTaps } from '../helper.ts';

/** Needs code because it depends on the host who puts the VM on the bridge: ezvm's helper with a tap, or QEMU by a helper of its own. */
export function resolveBridge(device: PlannedDevice, context: PlanContext): Resolved {
  const bridge = param<string>(device, 'bridge') ?? '';
  const wantsVhost = param<boolean>(device, 'vhost') === true;
  const origin = saidAt(device, 'bridge');
  if (!makesTaps(context)) {
    if (wantsVhost) refuseVhost(device, bridge, context);
    return { values: { type: 'bridge', br: bridge, fd: null, vhost: null, vhostfd: null } };
  }
  const opened = { access: 'write', direct: false, exclusive: false, opener: 'helper', origin } as const;
  const vhost = wantsVhost ? context.open({ ...opened, path: '/dev/vhost-net', type: 'character' }) : undefined;
  const tap = context.open({ ...opened, path: bridge, type: 'tap', ...(vhost !== undefined && { vhost }) });
  const ofVhost = vhost === undefined ? { vhost: null, vhostfd: null } : { vhost: true, vhostfd: String(vhost) };
  return { values: { type: 'tap', br: null, fd: String(tap), ...ofVhost } };
}

function refuseVhost(device: PlannedDevice, bridge: string, { facts, require }: PlanContext): void {
  const byHelper = helpByHelper(bridgeLine(bridge, true, facts), facts);
  require({
    kind: 'unmet',
    code: 'bridge-vhost',
    message: `${device.id}: QEMU's bridge helper has no part in vhost`,
    help: `${byHelper === undefined ? '' : `${byHelper}; or `}leave out \`vhost\`, or use a tap made beforehand: \`type: tap\``,
    origin: saidAt(device, 'vhost'),
  });
}
