import type { ScalarNode } from '../../core/source.ts';
import type { Values } from './drive.ts';
import { extraOptions, PLACE, PLACE_IS_FIXED, passOver } from './options.ts';
import { mapOf, type Reader, scalar, type Translation } from './translation.ts';

const MODELS: { readonly [driver: string]: string } = {
  'virtio-net-pci': 'virtio',
  'virtio-net': 'virtio',
  e1000e: 'e1000e',
  e1000: 'e1000',
  rtl8139: 'rtl8139',
  vmxnet3: 'vmxnet3',
};

/** What the kernel takes for the name of an interface. */
const INTERFACE = /^[A-Za-z0-9_.-]{1,15}$/;

/** Translates `network`. A virtual function of a card that is not named is a PCI device, and comes after those of `host`. */
export function translateNetwork(items: readonly Reader[], firstPci: number, out: Translation): void {
  let pci = firstPci;
  for (const [index, item] of items.entries()) {
    const type = item.word('type', ['bridge', 'tap', 'x550vf']);
    if (type === 'x550vf') virtualFunction(item, index, pci++, out);
    else if (type !== undefined) card(item, type, index, out);
    else if (!item.entry('type')) out.refuse('key-missing', item.at, `${item.path} needs type`);
  }
}

function card(item: Reader, type: string, index: number, out: Translation): void {
  const at = item.at;
  const driver = item.text('driver');
  const known = driver && MODELS[driver.value];
  const device = extraOptions(item, 'extra_device_options', out);
  const netdev = extraOptions(item, 'extra_netdev_options', out);
  // As with QEMU, what is said last counts.
  const last = (options: typeof device, key: string): ScalarNode | undefined =>
    options.findLast((option) => option.key === key)?.node;
  const mac = last(device, 'mac') ?? item.text('mac');
  item.text('mac');
  if (!mac)
    out.note(
      'ezkvm-differs',
      at,
      `${item.path} has no mac; ezkvm makes up another at every start, ezvm makes one from the VM's uuid and keeps it`,
    );
  const base = { model: scalar(driver?.at ?? at, known ?? 'virtio'), mac };
  const own =
    type === 'bridge'
      ? { type: scalar(at, 'bridge'), bridge: last(netdev, 'br') ?? item.text('bridge') ?? scalar(at, 'vmbr0') }
      : tap(item, (key) => last(netdev, key));
  if (type === 'bridge') item.text('bridge');
  if (type === 'tap') item.ignored('ifname', 'ezvm calls the interface so');
  out.put('network', mapOf(at, { [`net${index}`]: mapOf(at, { ...own, ...base }) }));
  // Whatever other card it is, QEMU says whether it has it.
  if (driver && known === undefined) out.patch(`device:net${index}-device`, 'driver', driver);
  for (const { key, node } of netdev) if (!OF_NETDEV.includes(key)) out.patch(`netdev:net${index}`, key, node);
  for (const option of device)
    if (PLACE.includes(option.key)) passOver(item, option, out, PLACE_IS_FIXED);
    else if (option.key !== 'mac') out.patch(`device:net${index}-device`, option.key, option.node);
  item.close();
}

/** Options of a netdev that have a key of ours. */
const OF_NETDEV = ['br', 'ifname', 'script', 'downscript', 'vhost'];

/** QEMU makes the interface and calls scripts, unless there are none: then it is there beforehand. */
function tap(item: Reader, extra: (key: string) => ScalarNode | undefined): Values {
  const at = item.at;
  const given = (key: string, name: string): ScalarNode | undefined => {
    const own = item.text(name);
    return extra(key) ?? own;
  };
  const ifname = given('ifname', 'ifname');
  const script = given('script', 'upscript') ?? scalar(at, '/var/lib/qemu/bridge-up');
  const downscript = given('downscript', 'downscript') ?? scalar(at, '/var/lib/qemu/bridge-down');
  const own = item.switch('vhost');
  const vhost = extra('vhost') ?? own ?? scalar(at, true);
  const isNone = (node: ScalarNode): boolean => node.value === 'no' || node.value === '';
  return isNone(script)
    ? { type: scalar(at, 'tap'), ifname, vhost }
    : {
        type: scalar(at, 'tap-script'),
        ifname,
        script,
        downscript: isNone(downscript) ? undefined : downscript,
        vhost,
      };
}

/** Where the file says which function of which card it is, it is one to ezvm too; else it is any PCI device. */
function virtualFunction(item: Reader, index: number, number: number, out: Translation): void {
  const at = item.at;
  const pci = item.required('pci');
  const [parent, vf, mac] = ['parent', 'vf', 'mac'].map((key) => item.text(key));
  const isTold = INTERFACE.test(parent?.value ?? '') && /^\d{1,3}$/.test(vf?.value ?? '');
  const device = isTold ? `net${index}-device` : `pci${number}.0`;
  const what = isTold
    ? { network: { [`net${index}`]: mapOf(at, { type: scalar(at, 'sriov'), parent, vf, mac, pci }) } }
    : { pci: { [`pci${number}`]: mapOf(at, { type: scalar(at, 'passthrough'), pci }) } };
  for (const [section, items] of Object.entries(what)) if (pci) out.put(section, mapOf(at, items));
  out.patch(`device:${device}`, 'rombar', scalar(at, 0));
  for (const option of extraOptions(item, 'extra_device_options', out))
    if (PLACE.includes(option.key)) passOver(item, option, out, PLACE_IS_FIXED);
    else out.patch(`device:${device}`, option.key, option.node);
  for (const { node } of extraOptions(item, 'extra_netdev_options', out))
    out.refuse('option-unknown', node.at, `${item.path}: a card that is handed over has no netdev`, 'leave it out');
  const unable = 'QEMU cannot start what ezkvm makes of x550vf; ezvm hands the function over';
  if (isTold) out.note('ezkvm-differs', at, `${unable}, and sees to it before a start that it has its address`);
  else
    out.note(
      'ezkvm-differs',
      at,
      `${unable} as a PCI device; nothing says which function of which card it is, so its address is for you to set`,
      `before the start, as root: ip link set ${parent?.value ?? 'PARENT'} vf ${vf?.value ?? 'NUMBER'} mac ${mac?.value ?? 'ADDRESS'}`,
    );
  item.close();
}
