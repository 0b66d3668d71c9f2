import type { Report } from '../core/diagnostic.ts';
import { type PlannedDevice, param, saidAt } from './device.ts';

/** Of QEMU's own network, where nothing is said: the host's part of each address, cut to what the network has (libslirp). */
const USUAL_HOSTS = { host: 0x0202, dns: 0x0203, dhcpstart: 0x020f };

type Host = keyof typeof USUAL_HOSTS;

/** What QEMU's own router must not have at one address, with the words for it; the former is the first to be told. */
const APART: readonly (readonly [Host, Host, string])[] = [
  ['dns', 'host', "the router's own address"],
  ['dhcpstart', 'host', "the router's own address"],
  ['dhcpstart', 'dns', 'that of the name server'],
];

type Fault = (key: string, message: string, help: string) => void;

interface Network {
  /** As in `10.0.2.0/24`. */
  readonly text: string;
  /** Its first address. */
  readonly first: number;
  /** How many addresses it has. */
  readonly size: number;
}

/** Addresses with which QEMU's own router does not start. */
export function findRouterFaults(devices: readonly PlannedDevice[], report: Report): void {
  for (const device of devices) {
    if (device.section !== 'network' || device.template.type !== 'user') continue;
    const text = param<string>(device, 'net') ?? '10.0.2.0/24';
    const [base = '', bits = ''] = text.split('/');
    const size = 2 ** (32 - Number(bits));
    const network: Network = { text, first: Math.floor(numberOf(base) / size) * size, size };
    const fault: Fault = (key, message, help) =>
      report({ severity: 'error', code: 'combination-refused', message, origin: saidAt(device, key), help });
    findOutsiders(device, network, fault);
    findShared(device, network, fault);
  }
}

/** Addresses that are in another network. */
function findOutsiders(device: PlannedDevice, { text, first, size }: Network, fault: Fault): void {
  for (const key of Object.keys(USUAL_HOSTS)) {
    const address = param<string>(device, key);
    if (address === null || Math.floor(numberOf(address) / size) * size === first) continue;
    fault(
      key,
      `${device.id}.${key} is ${address}, which is not in the network ${text}`,
      param(device, 'net') === null ? 'give its network as `net:`' : 'choose an address of that network',
    );
  }
}

/** Addresses that are one; a small network has no room for the usual ones. */
function findShared(device: PlannedDevice, { text, first, size }: Network, fault: Fault): void {
  const placeOf = (key: Host): number => {
    const address = param<string>(device, key);
    return address === null ? first + (USUAL_HOSTS[key] % size) : numberOf(address);
  };
  const clash = APART.find(([one, other]) => placeOf(one) === placeOf(other));
  if (!clash) return;
  const [one, other, words] = clash;
  const said = [one, other].find((key) => param(device, key) !== null);
  if (said === undefined)
    fault(
      'net',
      `${device.id}.net is ${text}, which is too small for a router, a name server and a guest`,
      'choose a larger one, such as 192.168.76.0/24',
    );
  else
    fault(
      said,
      `${device.id}.${said} is ${param(device, said)}, ${said === one ? words : `where ${one} is as well`}`,
      'choose another address of that network',
    );
}

/** An IPv4 address as the number that it is. */
function numberOf(address: string): number {
  return address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
}
