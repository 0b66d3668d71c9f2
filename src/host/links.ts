import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { LinkFacts } from './facts.ts';
import { namesIn } from './reading.ts';

const NETWORK = '/sys/class/net';
/** From the kernel's if_tun.h. */
const IFF_MULTI_QUEUE = 0x100;

/**
 * What is known about each of these network interfaces; never throws.
 * @param ip the program `ip`, which alone can tell the addresses of a card's virtual functions
 */
export async function probeLinks(
  names: readonly string[],
  ip: string | undefined,
  dir = NETWORK,
): Promise<{ readonly [name: string]: LinkFacts }> {
  const links = names.map(async (name): Promise<[string, LinkFacts]> => [name, await probeLink(name, ip, dir)]);
  return Object.fromEntries(await Promise.all(links));
}

/** The names of all network interfaces. */
export function interfacesHere(dir = NETWORK): readonly string[] {
  return namesIn(dir);
}

async function probeLink(name: string, ip: string | undefined, dir: string): Promise<LinkFacts> {
  const place = join(dir, name);
  const read = (file: string): string | undefined => {
    try {
      return readFileSync(join(place, file), 'latin1').trim();
    } catch {
      return undefined;
    }
  };
  // A name such as `..` is a directory, too.
  const index = name.includes('/') ? undefined : read('ifindex');
  if (index === undefined) return { kind: 'missing' };
  const common = { index: Number(index), mac: read('address') ?? '' };
  const flags = read('tun_flags');
  if (flags !== undefined) {
    const [owner, group] = [Number(read('owner') ?? -1), Number(read('group') ?? -1)];
    // The kernel's own rule (tun_not_capable): what names nobody is for everybody.
    const usable =
      process.geteuid?.() === 0 ||
      ((owner < 0 || owner === process.geteuid?.()) && (group < 0 || (process.getgroups?.() ?? []).includes(group)));
    return { ...common, kind: 'tap', usable, queues: (Number(flags) & IFF_MULTI_QUEUE) !== 0 };
  }
  if (existsSync(join(place, 'bridge'))) return { ...common, kind: 'bridge' };
  if (existsSync(join(place, 'macvtap'))) return { ...common, kind: 'macvtap' };
  const functions = functionsOf(place);
  if (functions.length === 0) return { ...common, kind: 'other' };
  const macs = ip === undefined ? [] : await askMacs(ip, name);
  return {
    ...common,
    kind: 'other',
    functions: functions.map((pci, number) => ({ pci, ...(macs[number] !== undefined && { mac: macs[number] }) })),
  };
}

/** PCI addresses of a card's virtual functions, by number. */
function functionsOf(place: string): string[] {
  const device = join(place, 'device');
  try {
    const names = readdirSync(device).filter((name) => /^virtfn\d+$/.test(name));
    return names.map((_, number) => basename(readlinkSync(join(device, `virtfn${number}`))));
  } catch {
    return [];
  }
}

/** The kernel shows them over netlink only. */
async function askMacs(ip: string, name: string): Promise<(string | undefined)[]> {
  const { execFile } = await import('node:child_process');
  const text = await new Promise<string>((resolve) =>
    execFile(ip, ['-json', 'link', 'show', 'dev', name], { timeout: 5000 }, (_, stdout) => resolve(stdout)),
  );
  try {
    const [link] = JSON.parse(text) as [{ vfinfo_list?: { vf: number; address?: string; mac?: string }[] }];
    const macs: string[] = [];
    // Versions of ip before 5.3 call it mac.
    for (const { vf, address, mac } of link.vfinfo_list ?? []) macs[vf] = (address ?? mac ?? '').toLowerCase();
    return macs;
  } catch {
    return [];
  }
}
