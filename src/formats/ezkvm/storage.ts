import type { ScalarNode } from '../../core/source.ts';
import { type Drive, readDrive, type Values } from './drive.ts';
import { plainPath, readMedium } from './medium.ts';
import { PLACE_IS_FIXED } from './options.ts';
import { mapOf, type Reader, scalar, type Translation } from './translation.ts';

const BUSES: { readonly [type: string]: string } = {
  'scsi-hd': 'pvscsi',
  'virtio-blk-pci': 'virtio',
  'ide-cd': 'sata',
};
/** How ezkvm calls the drive of an item, before its number. */
const DRIVES: { readonly [type: string]: string } = {
  'scsi-hd': 'drive-scsi',
  'virtio-blk-pci': 'drive-virtio',
  'ide-cd': 'drive-ide',
};
/** Where a device can be in what ezkvm makes: the board's own bus, its bridges, and its ports. */
const BUSES_OF_EZKVM = [
  'pci.0',
  'pcie.0',
  'pci.1',
  'pci.2',
  'pci.3',
  'pcidmi',
  ...[1, 2, 3, 4].map((port) => `ich9-pcie-port-${port}`),
];
/** Places on each bus; an item takes that of its position in the list. */
const PLACES: { readonly [bus: string]: number } = { pvscsi: 16, virtio: 16, sata: 6 };

/**
 * Translates `storage`, a list in which a position counts on every bus alike.
 * @param isUefi whether the machine starts with OVMF, few builds of which know pvscsi
 */
export function translateStorage(items: readonly Reader[], isUefi: boolean, out: Translation): void {
  const types = items.map((item) => item.word('type', Object.keys(BUSES)));
  const first = items.find((_, index) => types[index] === 'scsi-hd');
  if (isUefi && first)
    out.note(
      'ezkvm-differs',
      first.at,
      "ezkvm's disks are on a pvscsi controller, and most builds of OVMF cannot boot from one",
      'if the guest has the driver of virtio-scsi: `--set disks.disk0.bus=scsi`',
    );
  for (const [index, item] of items.entries()) {
    const type = types[index];
    if (type === undefined) {
      if (!item.entry('type')) out.refuse('key-missing', item.at, `${item.path} needs type`);
      continue;
    }
    const bus = BUSES[type] ?? 'virtio';
    const slot = placeFor(index, bus, types);
    const isCd = type === 'ide-cd';
    // Before the item's own options of the device, of which the last counts.
    const ssd = type === 'scsi-hd' ? readScsi(item, index, out) : undefined;
    const drive = readDrive(item, { index, name: `${DRIVES[type]}${index}`, isCd }, out);
    const node = isCd ? cdrom(item, drive, index, out) : disk(item, type, drive, ssd, out);
    const moved = drive.param('slot') ?? (slot === index ? undefined : scalar(item.at, slot));
    out.put(
      'disks',
      mapOf(item.at, { [`disk${index}`]: mapOf(item.at, { ...node, bus: scalar(item.at, bus), slot: moved }) }),
    );
    item.close();
  }
}

/** Its position, or beyond the last place the lowest that no other item of this bus has. */
function placeFor(index: number, bus: string, types: readonly (string | undefined)[]): number {
  const places = PLACES[bus] ?? 16;
  if (index < places) return index;
  const same = types.flatMap((type, other) => (type !== undefined && BUSES[type] === bus ? [other] : []));
  const free = Array.from({ length: places }, (_, place) => place).filter((place) => !same.includes(place));
  return free[same.filter((other) => other >= places).indexOf(index)] ?? index;
}

function disk(item: Reader, type: string, drive: Drive, ssd: ScalarNode | undefined, out: Translation): Values {
  const file = item.text('file');
  const medium = file && readMedium(file);
  const format = drive.param('format') ?? item.text('format');
  const discard = drive.param('discard') ?? item.text('discard');
  const isDiscarding = /^(on|unmap|true)$/.test(String(discard?.value ?? 'off'));
  const zeroes = drive.param('detect-zeroes') ?? item.text('detect_zeroes');
  if (!medium) tellOfFormat(file, format, out);
  // What is no file has the contents of the disk, and nothing around them.
  else if (format && format.value !== 'raw')
    out.refuse('value-wrong', format.at, `${item.path}.format is ${format.value}; ${file.value} is always raw to ezvm`);
  readBus(item, type, out);
  return {
    ...common(item, drive),
    ...(medium ?? { file: file && plainPath(file), format: format ?? scalar(item.at, 'raw'), aio: drive.param('aio') }),
    ...(drive.param('read-only') && { 'read-only': drive.param('read-only') }),
    snapshot: drive.param('snapshot'),
    cache: cache(drive.param('cache') ?? item.text('cache'), out),
    discard: scalar(discard?.at ?? item.at, isDiscarding),
    'detect-zeroes': zeroesFor(zeroes, isDiscarding),
    rerror: drive.param('rerror'),
    werror: drive.param('werror'),
    ssd,
  };
}

/** Reads what only SCSI disks have: whether it is one without moving parts; undefined where nothing is said. */
function readScsi(item: Reader, index: number, out: Translation): ScalarNode | undefined {
  // Names under /dev/disk/by-id stay what they were.
  out.patch(`device:disk${index}-device`, 'device_id', scalar(item.at, `drive-scsi${index}`));
  const rotation = item.text('rotation_rate');
  const rate = Number(rotation?.value ?? 1);
  if (rotation && rate > 1) out.patch(`device:disk${index}-device`, 'rotation_rate', scalar(rotation.at, rate));
  return rotation && scalar(rotation.at, rate === 1);
}

function readBus(item: Reader, type: string, out: Translation): void {
  const own = type === 'scsi-hd' ? ['scsihw0.0'] : BUSES_OF_EZKVM;
  const bus = item.word('bus', own);
  const at = item.entry('bus')?.node.at;
  if (bus !== undefined && bus !== own[0] && at)
    out.note('ezkvm-differs', at, `${item.path}.bus is not used: ${PLACE_IS_FIXED}`);
}

/** Without discarding QEMU itself makes `on` of it. */
function zeroesFor(zeroes: ScalarNode | undefined, isDiscarding: boolean): ScalarNode | undefined {
  return zeroes?.value === 'unmap' && !isDiscarding ? scalar(zeroes.at, 'on') : zeroes;
}

function cdrom(item: Reader, drive: Drive, index: number, out: Translation): Values {
  const media = item.text('media');
  if (media && media.value !== 'cdrom')
    out.note('ezkvm-differs', media.at, `${item.path}.media is ${media.value}; a drive for CDs holds CDs`);
  const unit = item.text('unit');
  if (unit && unit.value !== '0')
    out.note(
      'ezkvm-differs',
      unit.at,
      `${item.path}.unit is not used: a SATA port has one unit, and this is port ${index}`,
    );
  // An empty name is an empty drive.
  const file = item.required('file');
  const medium = file && file.value !== '' ? file : undefined;
  const node = `blockdev:disk${index}`;
  const format = drive.param('format');
  if (medium && format && format.value !== 'raw') out.patch(node, 'driver', format);
  const aio = drive.param('aio');
  if (medium && aio) out.patch(node, 'file.aio', aio);
  for (const key of ['rerror', 'werror']) {
    const policy = drive.param(key);
    if (policy) out.patch(`device:disk${index}-device`, key, policy);
  }
  for (const key of ['snapshot', 'cache', 'discard', 'detect-zeroes', 'throttle-group', ...Object.keys(drive.limits)]) {
    const useless = drive.param(key) ?? drive.limits[key];
    if (useless)
      out.warn(
        'option-ignored',
        useless.at,
        `${item.path}: ezvm passes over ${key}: a CD is only read`,
        'leave it out',
      );
  }
  return {
    type: scalar(item.at, 'cdrom'),
    boot: bootOf(item, drive),
    serial: drive.param('serial'),
    file: medium && plainPath(medium),
  };
}

function common(item: Reader, drive: Drive): Values {
  return {
    ...drive.limits,
    boot: bootOf(item, drive),
    serial: drive.param('serial'),
    'throttle-group': drive.param('throttle-group'),
  };
}

function bootOf(item: Reader, drive: Drive): ScalarNode | undefined {
  return drive.param('boot') ?? item.text('boot_index');
}

function cache(node: ScalarNode | undefined, out: Translation): ScalarNode | undefined {
  const plain = String(node?.value).replace('-', '');
  if (!node || plain === node.value) return node;
  out.note('ezkvm-differs', node.at, `QEMU knows no cache mode ${node.value}; ezvm takes ${plain}`);
  return scalar(node.at, plain);
}

/** ezkvm takes every file for raw unless told, and so it was written; a header in it would be the guest's own doing. */
function tellOfFormat(file: ScalarNode | undefined, format: ScalarNode | undefined, out: Translation): void {
  const ending = /\.(qcow2|vmdk|vdi|vhdx)$/i.exec(String(file?.value ?? ''))?.[1];
  if (file && !format && ending !== undefined)
    out.note(
      'ezkvm-differs',
      file.at,
      `${file.value} is read as raw, as ezkvm does`,
      `write \`format: ${ending}\` if it is one`,
    );
}
