import { runQmp } from '../../admin/qmp.ts';
import { EXIT, fault } from '../../core/diagnostic.ts';
import { isRecord } from '../../core/json.ts';
import { bootedVm } from '../running.ts';
import type { Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'qmp NAME COMMAND [JSON]',
  summary: 'Sends a VM one command of the QEMU machine protocol and prints the answer as JSON.',
  example: `ezvm qmp windows-11 device_del '{"id": "usb0"}'`,
  flags: {},
  forOwner: true,
  words: [2, 3],
  raw: true,
  async run([ref = '', command = '', json], _, context) {
    const args = json === undefined ? undefined : readArguments(json);
    const vm = await bootedVm(ref, context);
    context.out(`${JSON.stringify(await runQmp(vm, command, args), undefined, 2)}\n`);
    return EXIT.ok;
  },
};

function readArguments(json: string): object {
  try {
    const value: unknown = JSON.parse(json);
    if (isRecord(value)) return value;
  } catch {}
  throw fault(EXIT.usage, 'json-wrong', `${json} is no JSON object`, {
    help: `as in '{"id": "usb0"}', in single quotes for the shell`,
  });
}
