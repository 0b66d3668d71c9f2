import type { Position, ScalarNode } from '../../core/source.ts';
import { mapOf, type Reader, scalar, type Translation } from './translation.ts';

/** Of the key that macOS asks Apple's controller for. */
const KEY_LENGTH = 64;

/** Translates `general` and `system`: name, board, firmware, memory, processors, TPM, Apple's controller. */
export function translateSystem(general: Reader, system: Reader, out: Translation): { isUefi: boolean } {
  const name = general.text('name');
  if (name) out.put('name', name);
  const { isUefi, uuid: own } = firmware(system.map('bios'), out);
  const uuids = [own, generalUuid(general, out)];
  const uuid = uuids.find((each) => each !== undefined);
  if (uuid) out.put('uuid', uuid);
  general.close();

  board(system.map('chipset'), out);
  memory(system.map('memory'), out);
  processors(system.map('cpu'), out);
  tpm(system.map('tpm'), out);
  const apple = system.map('applesmc');
  const osk = apple.text('osk');
  apple.close();
  if (osk) {
    const isKey = osk.value.length === KEY_LENGTH;
    if (isKey) out.put('applesmc', mapOf(osk.at, { osk }));
    out.note(
      'ezkvm-ignored',
      osk.at,
      isKey
        ? 'ezkvm forgot system.applesmc; ezvm gives the guest the key, which every user of this machine can read in the arguments of QEMU'
        : `ezkvm forgot system.applesmc; so does ezvm, because a key has ${KEY_LENGTH} characters, and this one ${osk.value.length}`,
    );
  }
  system.close();
  return { isUefi };
}

function generalUuid(general: Reader, out: Translation): ScalarNode | undefined {
  const uuid = general.text('uuid');
  if (!uuid || uuid.value === '') return undefined;
  out.note('ezkvm-ignored', uuid.at, 'ezkvm ignored general.uuid; ezvm takes it where system.bios has none');
  return uuid;
}

function board(chipset: Reader, out: Translation): void {
  chipset.word('type', ['q35']);
  chipset.ignored('version', 'so does ezvm, which takes the newest q35; `--set machine.version=8.1` pins it');
  chipset.close();
  // ezkvm starts with KVM or not at all.
  out.put('machine', mapOf(chipset.at, { type: scalar(chipset.at, 'q35'), accel: scalar(chipset.at, 'kvm') }));
}

/** The firmware, and the uuid, which ezkvm's files keep with it. */
function firmware(bios: Reader, out: Translation): { isUefi: boolean; uuid: ScalarNode | undefined } {
  const type = bios.word('type', ['seabios', 'ovmf']) ?? 'seabios';
  const uuid = bios.text('uuid');
  if (type === 'seabios') {
    out.put('firmware', mapOf(bios.at, { type: scalar(bios.at, 'bios') }));
  } else {
    const is32 = bios.word('arch', ['64bit', '32bit']) === '32bit';
    const isSmall = bios.word('size', ['4M', '2M']) === '2M';
    const secure = bios.switch('secure_boot') ?? scalar(bios.at, bios.entry('secure_boot') === undefined);
    const vars = bios.text('file');
    const code = is32 ? 'OVMF32_CODE_4M.fd' : isSmall ? `OVMF_CODE${secure.value ? '.secboot' : ''}.fd` : undefined;
    out.put(
      'firmware',
      mapOf(bios.at, {
        type: scalar(bios.at, 'uefi'),
        'secure-boot': is32 ? undefined : secure,
        vars,
        // The image that ezkvm itself takes: firmware descriptors know no sizes, and variables fit their own image only.
        code: code === undefined ? undefined : scalar(bios.at, `/usr/share/ezkvm/${code}`),
        'vars-size': isSmall ? scalar(bios.at, 131072) : undefined,
      }),
    );
    if (!vars)
      out.note(
        'ezkvm-differs',
        bios.at,
        'system.bios names no file for the UEFI variables; ezvm keeps one with the VM',
      );
  }
  bios.close();
  return { isUefi: type === 'ovmf', uuid: uuid && uuid.value !== '' ? uuid : undefined };
}

function memory(section: Reader, out: Translation): void {
  const max = section.text('max');
  // A bare number would be bytes.
  if (max)
    out.put(
      'memory',
      mapOf(max.at, { size: { ...max, value: /^\d+$/.test(max.value) ? `${max.value}M` : max.value } }),
    );
  const balloon = section.switch('balloon');
  if (balloon) {
    out.put('balloon', mapOf(balloon.at, { type: scalar(balloon.at, balloon.value ? 'virtio' : 'none') }));
    const now = balloon.value ? 'ezvm adds the device' : 'ezvm has no such device either';
    out.note('ezkvm-ignored', balloon.at, `ezkvm ignored system.memory.balloon; ${now}`);
  }
  section.close();
}

/** Those of a model that has none of its own in the file. */
const FLAGS = ['+aes', '+pni', '+popcnt', '+sse4.1', '+sse4.2', '+ssse3', 'enforce'];

function wordsOf(text = ''): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

function processors(section: Reader, out: Translation): void {
  const flags = section.text('flags');
  // QEMU reads flags after a model, too.
  const model = section.text('model');
  const [name, ...more] = wordsOf(model?.value);
  const words = [...more, ...(flags || more.length === 0 ? wordsOf(flags?.value) : FLAGS)];
  const at: Position = flags?.at ?? model?.at ?? section.at;
  const values = {
    model: model && name !== undefined ? scalar(model.at, name) : model,
    sockets: section.text('sockets'),
    cores: section.text('cores'),
    flags:
      flags || more.length > 0
        ? ({ kind: 'list', at, items: words.map((word) => scalar(at, word)) } as const)
        : undefined,
  };
  if (Object.values(values).some((value) => value !== undefined)) out.put('cpu', mapOf(section.at, values));
  section.close();
}

function tpm(section: Reader, out: Translation): void {
  const type = section.word('type', ['no_tpm', 'swtpm', 'passthrough']) ?? 'no_tpm';
  if (type === 'passthrough') {
    out.put('tpm', mapOf(section.at, { type: scalar(section.at, 'passthrough') }));
    out.note('ezkvm-differs', section.at, 'ezkvm never had TPM passthrough; ezvm hands over /dev/tpm0');
  }
  if (type === 'swtpm') {
    const state = section.required('disk');
    out.put(
      'tpm',
      mapOf(section.at, { type: scalar(section.at, 'swtpm'), model: scalar(section.at, 'tpm-tis'), state }),
    );
    const socket = section.text('socket');
    if (socket)
      out.note('ezkvm-differs', socket.at, "system.tpm.socket is not used: the socket is in the VM's run directory");
    section.ignored('version', 'it is a TPM 2.0 with ezvm too');
  }
  section.close();
}
