import { isLinkKind } from '../catalog/params.ts';
import type { LinkKind } from '../catalog/template.ts';
import type { Report } from '../core/diagnostic.ts';
import type { Origin } from '../core/origin.ts';
import type { HostFacts, LinkFacts } from '../host/facts.ts';
import type { QemuOption, QemuProps, QemuValue } from '../qemu/option.ts';
import { type PlannedDevice, param, saidAt } from './device.ts';
import { bridgeLine, helpByHelper } from './helper.ts';
import type { Requirement, RequirementOf } from './plan.ts';
import { twice } from './twice.ts';

/** Network interfaces of the host that parameters name, as their templates say what must be there. */
export function linkRequirements(device: PlannedDevice, facts: HostFacts): Requirement[] {
  return Object.entries(device.template.params).flatMap(([name, { expect }]): Requirement[] => {
    const given = device.params[name];
    if (expect === undefined || !isLinkKind(expect) || typeof given?.value !== 'string') return [];
    const link = facts.links?.[given.value];
    if (!link) return [];
    const unmet = judgeLink(given.value, expect, link, device);
    return unmet ? [{ kind: 'unmet', origin: saidAt(device, name), ...unmet }] : [];
  });
}

function judgeLink(
  name: string,
  expect: LinkKind,
  link: LinkFacts,
  device: PlannedDevice,
): Pick<RequirementOf<'unmet'>, 'code' | 'message' | 'help'> | undefined {
  const several = (param<number>(device, 'queues') ?? 1) > 1;
  const make = makingOf(name, expect, several);
  if (link.kind === 'missing')
    return { code: 'interface-missing', message: `there is no network interface ${name}`, help: make };
  if (expect !== 'interface' && link.kind !== expect)
    return {
      code: 'interface-wrong-kind',
      message: `the network interface ${name} is no ${expect}`,
      help: `choose another name; ${make}`,
    };
  if (link.kind !== 'tap' || expect !== 'tap') return undefined;
  if (link.usable === false)
    return { code: 'interface-denied', message: `the tap ${name} belongs to somebody else`, help: make };
  if ((link.queues ?? false) !== several)
    return {
      code: 'interface-queues',
      message: `the tap ${name} was made for ${link.queues ? 'several queues' : 'one queue'}, and ${device.id} asks for ${several ? 'several' : 'one'}`,
      help: `remove it with \`sudo ip link delete ${name}\`, then ${make}`,
    };
  return undefined;
}

/** How such an interface is made. */
function makingOf(name: string, kind: LinkKind, several: boolean): string {
  switch (kind) {
    case 'interface':
      return 'see which there are: ip link';
    case 'bridge':
      return `make it: sudo ip link add ${name} type bridge && sudo ip link set ${name} up`;
    case 'tap':
      return `make it: sudo ip tuntap add dev ${name} mode tap user $USER${several ? ' multi_queue' : ''} && sudo ip link set ${name} up`;
    case 'macvtap':
      return `make it: sudo ip link add link eth0 name ${name} type macvtap mode bridge && sudo ip link set ${name} up`;
  }
}

/** What back-ends need of the host beyond an interface. */
export function networkRequirements(options: readonly QemuOption[], facts: HostFacts): Requirement[] {
  return options.flatMap(({ name, args, origin }): Requirement[] => {
    if (name !== 'netdev' || typeof args !== 'object') return [];
    if (args['type'] === 'stream' && args['server'] === true) return listening(args['addr'], 'tcp', origin);
    if (args['type'] === 'dgram') return listening(args['local'], 'udp', origin);
    if (args['type'] === 'bridge') return bridgeRequirements(String(args['br']), facts, origin);
    if (args['vhost'] !== true || args['vhostfd'] !== undefined) return [];
    const help = 'load it with `sudo modprobe vhost_net`, or leave out `vhost`';
    return [{ kind: 'path', path: '/dev/vhost-net', access: 'write', type: 'device', help, origin }];
  });
}

/** The end of a cable that others send to. */
function listening(address: QemuValue | undefined, protocol: 'tcp' | 'udp', origin: Origin | undefined): Requirement[] {
  const { type, host, port } = (address ?? {}) as QemuProps;
  return type === 'inet' ? [{ kind: 'port', host: String(host), port: Number(port), protocol, origin }] : [];
}

/** QEMU's helper looks at its own list of bridges, whoever runs it, and needs a right that only root can give it. */
function bridgeRequirements(bridge: string, facts: HostFacts, origin: Origin | undefined): Requirement[] {
  const { bridgeHelper: helper } = facts;
  if (facts.links === undefined) return [];
  // What ezvm's own helper says to it, where it could make a tap.
  const refused = facts.helper?.bridges?.[bridge];
  const line = bridgeLine(bridge, false, facts);
  const own =
    typeof refused === 'string'
      ? `let root add the line \`${line}\` to the policy of ezvm's helper`
      : helpByHelper(line, facts);
  const instead = `${own === undefined ? '' : `${own}; or `}use a network of the type user, which needs no rights`;
  if (!helper) {
    const help = `install the package qemu-system-common (Debian, Ubuntu), qemu-common (Fedora) or qemu-base (Arch), or ${instead}`;
    return [{ kind: 'program', program: 'qemu-bridge-helper', help, origin }];
  }
  const found: Requirement[] = [];
  const unmet = (code: string, message: string, help: string): unknown =>
    found.push({ kind: 'unmet', code, message, help, origin });
  if (!helper.privileged)
    unmet(
      'bridge-helper-powerless',
      `${helper.path}, which puts VMs on a bridge, has not the right to`,
      `give it that: sudo chmod u+s ${helper.path}; or ${instead}`,
    );
  const rules = helper.rules.filter((rule) => rule.bridge === bridge || rule.bridge === 'all');
  const allowing = `echo 'allow ${bridge}' | sudo tee -a /etc/qemu/bridge.conf`;
  if (helper.fault !== undefined)
    unmet(
      'bridge-denied',
      `QEMU's bridge helper allows no bridge: ${helper.fault}`,
      `sudo mkdir -p /etc/qemu; ${allowing}; or ${instead}`,
    );
  else if (rules.some(({ allow }) => !allow))
    unmet(
      'bridge-denied',
      `/etc/qemu/bridge.conf denies the bridge ${bridge}`,
      'remove that line, or choose another bridge',
    );
  else if (rules.length === 0)
    unmet(
      'bridge-denied',
      `/etc/qemu/bridge.conf does not allow the bridge ${bridge}`,
      `allow it: ${allowing}; or ${instead}`,
    );
  return found;
}

/** Ports of this machine that two forwards or servers would listen on. */
export function findPortClashes(requirements: readonly Requirement[], report: Report): void {
  const ports = requirements.filter((requirement) => requirement.kind === 'port');
  for (const [index, port] of ports.entries()) {
    const other = ports.slice(0, index).find((earlier) => overlap(earlier, port));
    if (other) report(twice('port-twice', `${port.protocol} port ${port.port} is wanted twice`, port, other));
  }
}

type Port = RequirementOf<'port'>;

function overlap(a: Port, b: Port): boolean {
  const everywhere = ({ host }: Port): boolean => ['', '0.0.0.0', '::'].includes(host);
  return a.port === b.port && a.protocol === b.protocol && (a.host === b.host || everywhere(a) || everywhere(b));
}
