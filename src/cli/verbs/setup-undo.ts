import { readSetup, undoSetup } from '../../admin/setup.ts';
import { type Diagnostic, EXIT } from '../../core/diagnostic.ts';
import { HELPER } from '../../formats/setup/helper.ts';
import { undoActivation } from '../../launch/activation.ts';
import { releaseDevices } from '../../launch/helper-setup.ts';
import { refuseUnlessRoot, rootOf } from '../setup.ts';
import type { Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'setup undo',
  summary: 'Puts back everything that `ezvm setup group` and `ezvm setup helper` have changed on this host.',
  example: 'sudo ezvm setup undo',
  flags: { root: { type: 'string', value: 'DIR', help: 'work on the system below that directory' } },
  words: [0, 0],
  async run(_, flags, context) {
    const root = rootOf(flags, context);
    refuseUnlessRoot(root);
    const { files, undo } = readSetup(root);
    if (root === '/' && files.some(({ path }) => path === HELPER)) releaseDevices(HELPER);
    const bound = files.some(({ path }) => path.endsWith('-vfio-bind.rules'));
    const changed = undoSetup(root);
    context.report([...(await undoActivation(root, undo, files)), ...changed.map(leftAlone)]);
    context.err(
      files.length === 0
        ? 'there was nothing to undo\n'
        : `everything${changed.length > 0 ? ' else' : ''} is as it was${bound ? '; devices that vfio-pci has stay with it until the next boot' : ''}\n`,
    );
    return EXIT.ok;
  },
};

function leftAlone(path: string): Diagnostic {
  return {
    severity: 'warning',
    code: 'file-changed',
    message: `${path} was changed since ezvm made it, so it stays`,
    help: 'look at it, and remove it if it is of no use any more',
  };
}
