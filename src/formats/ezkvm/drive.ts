import { parseSize } from '../../core/size.ts';
import type { ScalarNode, SourceNode } from '../../core/source.ts';
import { type ExtraOption, extraOptions, PLACE, PLACE_IS_FIXED, passOver } from './options.ts';
import { type Reader, scalar, type Translation } from './translation.ts';

export type Values = { readonly [key: string]: SourceNode | undefined };

/** What `extra_drive_options` and `extra_device_options` say that ezvm has a key for; the rest has been patched in, or told. */
export interface Drive {
  readonly param: (key: string) => ScalarNode | undefined;
  /** How much it may do in a second, by our names. */
  readonly limits: Values;
}

/** What a drive is called in what ezkvm writes, and which disk it is in ours. */
interface Place {
  readonly index: number;
  readonly name: string;
  readonly isCd: boolean;
}

/** Names of ours for what -drive calls otherwise. */
const RENAMED: { readonly [name: string]: string } = {
  readonly: 'read-only',
  driver: 'format',
  'throttling.group': 'throttle-group',
};
const PARAMS = [
  'format',
  'discard',
  'detect-zeroes',
  'cache',
  'aio',
  'serial',
  'read-only',
  'rerror',
  'werror',
  'throttle-group',
  'snapshot',
];
/** What a drive had of its device before that had properties of its own. */
const OF_DEVICE: { readonly [name: string]: string } = {
  logical_block_size: 'logical_block_size',
  physical_block_size: 'physical_block_size',
  'cache.writeback': 'write-cache',
};
/** What changes nothing that a guest sees: a drive that a -device names has its place from that. */
const IDLE: { readonly [name: string]: string } = {
  'copy-on-read': 'it changes nothing that the guest sees',
  bus: PLACE_IS_FIXED,
  unit: PLACE_IS_FIXED,
  index: PLACE_IS_FIXED,
  id: PLACE_IS_FIXED,
  'node-name': PLACE_IS_FIXED,
};
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

/** Reads what an item of `storage` has besides ezkvm's own keys. */
export function readDrive(item: Reader, place: Place, out: Translation): Drive {
  const given = new Map<string, ScalarNode>();
  const limits: Record<string, ScalarNode> = {};
  // The drive may be given another name, by which the device then has to call it.
  let called = place.name;
  for (const option of extraOptions(item, 'extra_drive_options', out)) {
    const { key, node } = option;
    const name = RENAMED[key] ?? key;
    const limit = limitOf(name);
    const ofDevice = OF_DEVICE[name];
    if (name === 'id') called = node.value;
    if (PARAMS.includes(name)) given.set(name, node);
    else if (ofDevice !== undefined) out.patch(`device:disk${place.index}-device`, ofDevice, node);
    else if (limit !== undefined) {
      // Nought is no limit to -drive.
      if (Number(node.value) !== 0) limits[limit] = node;
    } else if (name === 'if') refuseInterface(item, option, out);
    else if (name === 'media') readMedia(item, option, place, given, out);
    else if (IDLE[name] !== undefined && node.value !== place.name) passOver(item, option, out, IDLE[name]);
    else if (IDLE[name] === undefined) patchNode(place, name, node, out);
  }
  for (const option of extraOptions(item, 'extra_device_options', out))
    readDeviceOption(item, option, called, place, given, out);
  return { param: (key) => given.get(key), limits };
}

/** Where -drive takes a size, -blockdev wants bytes. */
function patchNode({ index }: Place, name: string, node: ExtraOption['node'], out: Translation): void {
  const bytes = /^\d+[KMGT]$/i.test(node.value) ? parseSize(node.value) : undefined;
  out.patch(`blockdev:disk${index}`, name, bytes === undefined ? node : scalar(node.at, bytes));
}

function readDeviceOption(
  item: Reader,
  option: ExtraOption,
  called: string,
  { index, isCd }: Place,
  given: Map<string, ScalarNode>,
  out: Translation,
): void {
  const { key, node } = option;
  const port = isCd && key === 'bus' ? /^ide\.([0-5])$/.exec(node.value)?.[1] : undefined;
  if (key === 'bootindex') given.set('boot', node);
  else if (port !== undefined) given.set('slot', scalar(node.at, Number(port)));
  else if (key === 'drive') {
    if (node.value === called) return;
    out.refuse(
      'option-unknown',
      node.at,
      `${item.path}: its drive is ${called}, and there is none called ${node.value} that its device could have`,
      'leave `drive=` out',
    );
  } else if (PLACE.includes(key)) passOver(item, option, out, PLACE_IS_FIXED);
  else out.patch(`device:disk${index}-device`, key, node);
}

/** QEMU refuses it as well: the drive would be a device of its own, beside that of the item's type. */
function refuseInterface(item: Reader, { node }: ExtraOption, out: Translation): void {
  if (node.value === 'none') return;
  out.refuse(
    'option-unknown',
    node.at,
    `${item.path}: if=${node.value} makes a device of the drive, which then cannot be that of the item's type as well`,
    "leave it out: the item's `type` says how the guest sees it",
  );
}

function readMedia(
  item: Reader,
  { node }: ExtraOption,
  { isCd }: Place,
  given: Map<string, ScalarNode>,
  out: Translation,
): void {
  if (node.value !== 'disk' && node.value !== 'cdrom')
    out.refuse('option-unknown', node.at, `${item.path}: QEMU knows no media=${node.value}`, 'leave it out');
  else if (isCd !== (node.value === 'cdrom')) {
    out.note(
      'ezkvm-differs',
      node.at,
      isCd ? `${item.path}: a drive for CDs holds CDs` : `${item.path}: media=cdrom makes this disk read-only, no more`,
    );
    if (!isCd && !given.has('read-only')) given.set('read-only', scalar(node.at, true));
  }
}
