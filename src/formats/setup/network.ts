import { EXIT, fault } from '../../core/diagnostic.ts';
import { stableUuid } from '../../core/hash.ts';
import type { SetupTarget } from './files.ts';
import type { HostNeeds } from './needs.ts';

/** What configures interfaces on a host. */
export type NetworkDaemon = 'networkd' | 'networkmanager';

/** Bridges that are wanted and not there, and taps that belong to the user; without addresses, which are the host's own matter. */
export function networkFiles(needs: HostNeeds, target: SetupTarget): Made[] {
  for (const name of [...needs.bridges, ...needs.taps.map((tap) => tap.name)]) refuseStrange(name);
  const bridges = needs.bridges.filter((name) => !target.interfaces.includes(name));
  const [bridge, tap] =
    target.networkDaemon === 'networkd' ? [networkdBridge, networkdTap] : [networkManagerBridge, networkManagerTap];
  return [...bridges.flatMap(bridge), ...needs.taps.flatMap((one) => tap(one, target))];
}

type Made = [string, readonly string[], number?];

function networkdBridge(name: string): Made[] {
  const match = ['[Match]', `Name=${name}`, '[Network]', 'ConfigureWithoutCarrier=yes', 'LinkLocalAddressing=no'];
  return [
    [`/etc/systemd/network/60-ezvm-${name}.netdev`, ['[NetDev]', `Name=${name}`, 'Kind=bridge']],
    [`/etc/systemd/network/60-ezvm-${name}.network`, match],
  ];
}

function networkdTap({ name, queues }: HostNeeds['taps'][number], { user, bridge }: SetupTarget): Made[] {
  const tap = ['[Tap]', `User=${user.name}`, 'VNetHeader=yes', ...(queues ? ['MultiQueue=yes'] : [])];
  const joined: Made = [
    `/etc/systemd/network/60-ezvm-${name}.network`,
    ['[Match]', `Name=${name}`, '[Network]', `Bridge=${bridge}`],
  ];
  return [
    [`/etc/systemd/network/60-ezvm-${name}.netdev`, ['[NetDev]', `Name=${name}`, 'Kind=tap', ...tap]],
    ...(bridge === undefined ? [] : [joined]),
  ];
}

function networkManagerBridge(name: string): Made[] {
  return [connection(name, 'bridge', [], ['[bridge]', 'stp=false', ...NO_ADDRESS])];
}

function networkManagerTap({ name, queues }: HostNeeds['taps'][number], { user, bridge }: SetupTarget): Made[] {
  const tun = ['[tun]', 'mode=2', `owner=${user.uid}`, 'vnet-hdr=true', ...(queues ? ['multi-queue=true'] : [])];
  return [
    bridge === undefined
      ? connection(name, 'tun', [], [...tun, ...NO_ADDRESS])
      : connection(name, 'tun', [`master=${bridge}`, 'slave-type=bridge'], tun),
  ];
}

/** The name becomes a part of paths, and of lines that root's programs read. */
function refuseStrange(name: string): void {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/.test(name)) return;
  throw fault(EXIT.config, 'name-refused', `${JSON.stringify(name)} is no name of a network interface`, {
    help: 'it has 15 letters, digits and _ . - at most',
  });
}

const NO_ADDRESS = ['[ipv4]', 'method=disabled', '[ipv6]', 'method=disabled'];

/** NetworkManager reads no connection that others than root could read. Up to 1.44 it knows no `controller` (seen with 1.42). */
function connection(name: string, type: string, role: readonly string[], more: readonly string[]): Made {
  const id = `ezvm-${name}`;
  const head = ['[connection]', `id=${id}`, `uuid=${stableUuid(id)}`, `type=${type}`, `interface-name=${name}`];
  return [`/etc/NetworkManager/system-connections/${id}.nmconnection`, [...head, ...role, ...more], 0o600];
}
