import { extraOptions } from './options.ts';
import { mapOf, type Reader, scalar, type Translation } from './translation.ts';

const MODELS: { readonly [driver: string]: string } = {
  'virtio-net-pci': 'virtio',
  e1000e: 'e1000e',
  e1000: 'e1000',
  rtl8139: 'rtl8139',
  vmxnet3: 'vmxnet3',
};

/** Translates `network`. A virtual function of a card is a PCI device to ezvm, and comes after those of `host`. */
export function translateNetwork(items: readonly Reader[], firstPci: number, out: Translation): void {
  let pci = firstPci;
  for (const [index, item] of items.entries()) {
    const type = item.word('type', ['bridge', 'tap', 'x550vf']);
    if (type === 'x550vf') virtualFunction(item, pci++, out);
    else if (type !== undefined) card(item, type, index, out);
    else if (!item.entry('type')) out.refuse('key-missing', item.at, `${item.path} needs type`);
  }
}

function card(item: Reader, type: string, index: number, out: Translation): void {
  const at = item.at;
  const driver = item.text('driver');
  const known = driver && MODELS[driver.value];
  const mac = item.text('mac');
  if (!mac)
    out.note(
      'ezkvm-differs',
      at,
      `${item.path} has no mac; ezkvm makes up another at every start, ezvm makes one from the VM's uuid and keeps it`,
    );
  const base = { model: scalar(driver?.at ?? at, known ?? 'virtio'), mac };
  const own =
    type === 'bridge'
      ? { type: scalar(at, 'bridge'), bridge: item.text('bridge') ?? scalar(at, 'vmbr0') }
      : {
          type: scalar(at, 'tap-script'),
          ifname: item.text('ifname'),
          script: item.text('upscript') ?? scalar(at, '/var/lib/qemu/bridge-up'),
          downscript: item.text('downscript') ?? scalar(at, '/var/lib/qemu/bridge-down'),
          vhost: item.switch('vhost') ?? scalar(at, true),
        };
  if (type === 'tap') item.ignored('ifname', 'ezvm calls the interface so');
  out.put('network', mapOf(at, { [`net${index}`]: mapOf(at, { ...own, ...base }) }));
  // Whatever other card it is, QEMU says whether it has it.
  if (driver && known === undefined) out.patch(`device:net${index}-device`, 'driver', driver);
  for (const { key, node } of extraOptions(item, 'extra_netdev_options', out))
    out.patch(`netdev:net${index}`, key, node);
  for (const { key, node } of extraOptions(item, 'extra_device_options', out))
    out.patch(`device:net${index}-device`, key, node);
  item.close();
}

function virtualFunction(item: Reader, number: number, out: Translation): void {
  const at = item.at;
  const pci = item.required('pci');
  const [parent, vf, mac] = ['parent', 'vf', 'mac'].map((key) => item.text(key)?.value);
  const id = `pci${number}`;
  if (pci) {
    out.put('pci', mapOf(at, { [id]: mapOf(at, { type: scalar(at, 'passthrough'), pci }) }));
    out.patch(`device:${id}.0`, 'rombar', scalar(at, 0));
    for (const { key, node } of extraOptions(item, 'extra_device_options', out)) out.patch(`device:${id}.0`, key, node);
  }
  for (const { node } of extraOptions(item, 'extra_netdev_options', out))
    out.refuse('option-unknown', node.at, `${item.path}: a card that is handed over has no netdev`, 'leave it out');
  const command = `ip link set ${parent ?? 'PARENT'} vf ${vf ?? 'NUMBER'} mac ${mac ?? 'ADDRESS'}`;
  out.note(
    'ezkvm-differs',
    at,
    'QEMU cannot start what ezkvm makes of x550vf; ezvm hands the function over as a PCI device, and its address is for you to set',
    `before the start, as root: ${command}`,
  );
  item.close();
}
