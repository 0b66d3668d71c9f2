import type { Diagnostic } from '../core/diagnostic.ts';
import { entryOf, type SourceDoc, type SourceNode } from '../core/source.ts';
import { translateDevices } from './ezkvm/devices.ts';
import { translateNetwork } from './ezkvm/network.ts';
import { extraWords } from './ezkvm/options.ts';
import { translateScreen } from './ezkvm/screen.ts';
import { translateStorage } from './ezkvm/storage.ts';
import { translateSystem } from './ezkvm/system.ts';
import { Reader, scalar, Translation } from './ezkvm/translation.ts';

/** Sections that ezkvm's files have and VM files have not. */
const THEIRS = ['general', 'system', 'host', 'storage', 'extras'];
/** Sections by which a VM file is known; one of ezkvm's names in it is a slip. */
const OURS = ['template', 'profiles', 'machine', 'cpu', 'memory', 'firmware', 'disks'];

/** Sections that both have, and the types that only ezkvm's files have there. */
const SHARED: { readonly [section: string]: readonly string[] } = {
  gpu: ['no_gpu'],
  display: ['no_display', 'looking_glass', 'remote-viewer'],
  spice: [],
  network: ['x550vf'],
};

/** Keys in those sections that only ezkvm's files have. */
const THEIR_KEYS = [
  'vm_id',
  'host_id',
  'pci_address',
  'upscript',
  'driver',
  'extra_netdev_options',
  'extra_device_options',
];

/**
 * Whether a file is one of ezkvm's: by its sections, by words in the others that only ezkvm knows, or because it says
 * nothing, which only ezkvm takes for a VM.
 */
export function isEzkvm(doc: SourceDoc): boolean {
  const has = (key: string): boolean => entryOf(doc.root, key) !== undefined;
  if (doc.root.entries.length === 0) return true;
  if (OURS.some(has)) return false;
  if (THEIRS.some(has)) return true;
  return (
    doc.root.entries.every(({ key }) => Object.hasOwn(SHARED, key)) &&
    doc.root.entries.some(({ key, node }) => isSpelledSo(key, node))
  );
}

function isSpelledSo(section: string, node: SourceNode): boolean {
  if (node.kind === 'list') return node.items.some((item) => isSpelledSo(section, item));
  if (node.kind !== 'map') return false;
  if (THEIR_KEYS.some((key) => entryOf(node, key))) return true;
  const functions = entryOf(node, 'pci')?.node;
  if (functions?.kind === 'list' && isSpelledSo(section, functions)) return true;
  const type = entryOf(node, 'type')?.node;
  if (type?.kind === 'scalar') return SHARED[section]?.includes(String(type.value)) === true;
  // Without a type ours is a socket, which has no port.
  return section === 'spice' && entryOf(node, 'port') !== undefined;
}

/**
 * Makes a VM file of one of ezkvm's; each value keeps its line and column.
 * @returns the document, and what was refused or is noteworthy: what ezkvm ignored, and where ezvm does otherwise
 */
export function translateEzkvm(doc: SourceDoc): { doc: SourceDoc; diagnostics: Diagnostic[] } {
  const out = new Translation(doc);
  const root = new Reader(doc.root, '', out);
  out.put('template', scalar(doc.root.at, 'ezkvm'));
  out.note(
    'ezkvm-file',
    doc.root.at,
    "read as a file of ezkvm's, with its defaults; the board is the newest q35 there is, without ezkvm's iSCSI name, boot picture and socket of Proxmox",
    '`ezvm show` prints it as a VM file',
  );
  const { isUefi } = translateSystem(root.map('general'), root.map('system'), out);
  const gpu = root.map('gpu');
  const wantsTablet = translateScreen(gpu, root.map('display'), root.entry('spice') && root.map('spice'), out);
  translateDevices(gpu, root.map('host'), wantsTablet, out);
  translateStorage(root.maps('storage'), isUefi, out);
  translateNetwork(root.maps('network'), out.size('pci'), out);
  const extras = root.list('extras');
  const [first] = extras;
  if (first) out.note('ezkvm-ignored', first.at, 'ezkvm ignored extras; ezvm appends them to the command line');
  for (const extra of extras) extraWords(extra, out);
  root.close();
  return { doc: out.finish(), diagnostics: out.diagnostics };
}
