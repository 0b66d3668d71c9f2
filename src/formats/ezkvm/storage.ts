import type { ScalarNode, SourceNode } from '../../core/source.ts';
import { type ExtraOption, extraOptions } from './options.ts';
import { mapOf, type Reader, scalar, type Translation } from './translation.ts';

const BUSES: { readonly [type: string]: string } = {
  'scsi-hd': 'pvscsi',
  'virtio-blk-pci': 'virtio',
  'ide-cd': 'sata',
};
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
    const extras = driveOptions(item, out);
    const node = type === 'ide-cd' ? cdrom(item, extras, index, out) : disk(item, type, extras, index, out);
    const moved = slot === index ? undefined : scalar(item.at, slot);
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

type Values = { readonly [key: string]: SourceNode | undefined };

function disk(item: Reader, type: string, drive: Drive, index: number, out: Translation): Values {
  const file = item.text('file');
  const format = drive.param('format') ?? item.text('format');
  const discard = drive.param('discard') ?? item.text('discard');
  const isDiscarding = /^(on|unmap|true)$/.test(String(discard?.value ?? 'off'));
  const zeroes = drive.param('detect-zeroes') ?? item.text('detect_zeroes');
  tellOfFormat(file, format, out);
  item.word('bus', [type === 'scsi-hd' ? 'scsihw0.0' : 'pci.0']);
  if (type === 'scsi-hd') {
    const rotation = item.text('rotation_rate');
    const rate = Number(rotation?.value ?? 1);
    if (rotation && rate > 1) out.patch(`device:disk${index}-device`, 'rotation_rate', scalar(rotation.at, rate));
    // Names under /dev/disk/by-id stay what they were.
    out.patch(`device:disk${index}-device`, 'device_id', scalar(item.at, `drive-scsi${index}`));
    return {
      ...common(item, drive),
      file,
      format: format ?? scalar(item.at, 'raw'),
      cache: cache(drive.param('cache') ?? item.text('cache'), out),
      discard: scalar(discard?.at ?? item.at, isDiscarding),
      'detect-zeroes': zeroesFor(zeroes, isDiscarding),
      ssd: rotation && scalar(rotation.at, rate === 1),
    };
  }
  return {
    ...common(item, drive),
    file,
    format: format ?? scalar(item.at, 'raw'),
    cache: cache(drive.param('cache') ?? item.text('cache'), out),
    discard: scalar(discard?.at ?? item.at, isDiscarding),
    'detect-zeroes': zeroesFor(zeroes, isDiscarding),
  };
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
  return { type: scalar(item.at, 'cdrom'), ...common(item, drive), file: item.required('file') };
}

function common(item: Reader, drive: Drive): Values {
  return {
    ...drive.limits,
    boot: drive.param('boot') ?? item.text('boot_index'),
    'read-only': drive.param('read-only'),
    aio: drive.param('aio'),
    serial: drive.param('serial'),
  };
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

/** Settings of the drive itself that have a key of their own. */
interface Drive {
  readonly param: (key: string) => ScalarNode | undefined;
  /** How much it may do in a second, by our names. */
  readonly limits: Values;
}

const PARAMS = ['format', 'discard', 'detect-zeroes', 'cache', 'aio', 'serial', 'read-only'];
const OF_DEVICE = ['werror', 'rerror', 'logical_block_size', 'physical_block_size'];
/** What -drive can do by itself and a block device only with others around it. */
const REFUSED = /^(snapshot|throttling\..*|iops.*|bps.*|copy-on-read|if|id|index|media|bus|unit)$/;
/** Of those, what changes nothing that a guest sees: a drive that a -device names has its place from that. */
const IDLE = ['copy-on-read', 'index', 'bus', 'unit'];
/** How -drive spells its limits: `bps`, `iops_rd_max`, `throttling.bps-total-max-length`. */
const OLD_LIMIT = /^(bps|iops)(_rd|_wr)?(_max)?(_max_length)?$/;
const NEW_LIMIT = /^throttling\.((?:bps|iops)-(?:total|read|write)(?:-max(?:-length)?)?)$/;

/** A limit of -drive's, by the name that ours has. */
function limitOf(name: string): string | undefined {
  if (/^(iops_size|throttling\.iops-size)$/.test(name)) return 'iops-size';
  const [whole, what, way = '', max = '', length = ''] = OLD_LIMIT.exec(name) ?? [];
  if (whole === undefined) return NEW_LIMIT.exec(name)?.[1];
  const ways: { readonly [way: string]: string } = { '': 'total', _rd: 'read', _wr: 'write' };
  return `${what}-${ways[way]}${max}${length}`.replaceAll('_', '-');
}

function driveOptions(item: Reader, out: Translation): Drive {
  const index = /\[(\d+)\]$/.exec(item.path)?.[1];
  const given = new Map<string, ScalarNode>();
  const limits: Record<string, ScalarNode> = {};
  for (const { key, node } of extraOptions(item, 'extra_drive_options', out)) {
    const name = key === 'readonly' ? 'read-only' : key;
    const limit = limitOf(name);
    if (PARAMS.includes(name)) given.set(name, node);
    else if (OF_DEVICE.includes(name)) out.patch(`device:disk${index}-device`, name, node);
    else if (limit !== undefined) {
      // Nought is no limit to -drive.
      if (Number(node.value) !== 0) limits[limit] = node;
    } else if (IDLE.includes(name))
      out.warn('option-ignored', node.at, `${item.path}: ezvm passes over the drive option ${name}`, 'leave it out');
    else if (REFUSED.test(name)) refuseOption(item, { key, node }, out);
    else out.patch(`blockdev:disk${index}`, name, node);
  }
  for (const { key, node } of extraOptions(item, 'extra_device_options', out))
    if (key === 'bootindex') given.set('boot', node);
    else out.patch(`device:disk${index}-device`, key, node);
  return { param: (key) => given.get(key), limits };
}

function refuseOption(item: Reader, { key, node }: ExtraOption, out: Translation): void {
  out.refuse('option-unknown', node.at, `${item.path}: ezvm has nothing for the drive option ${key}`, 'leave it out');
}
