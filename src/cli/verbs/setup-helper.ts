import { join } from 'node:path';
import { readContents } from '../../admin/setup.ts';
import { type Diagnostic, EXIT } from '../../core/diagnostic.ts';
import type { SetupFile } from '../../formats/setup/files.ts';
import { HELPER, helperFiles, POLICY } from '../../formats/setup/helper.ts';
import { gatherNeeds } from '../../formats/setup/needs.ts';
import { writePolicy } from '../../formats/setup/policy.ts';
import { membership } from '../../launch/activation.ts';
import { buildHelper, tryHelper } from '../../launch/helper-setup.ts';
import { carryOut, groupOf, isKept, refuseUnlessRoot, rootOf, type Setup, wordFlag } from '../setup.ts';
import type { Verb } from '../verb.ts';
import { findBeneficiary, findFunctions, planAtHand } from '../vms-at-hand.ts';

export const verb: Verb = {
  usage: 'setup helper [FILE|NAME…]',
  summary:
    'Builds the setuid helper, and prints what its installation changes on this host: the program, a group that may call it,\nand a policy that allows a user what the VMs want that are named, or else all VMs found by name. Read that policy.\nWith --apply, as root, installs them and notes what was there before. A policy that you have edited stays yours.',
  example: 'sudo ezvm setup helper --apply windows-11.yaml',
  flags: {
    apply: { type: 'boolean', help: 'install it; `ezvm setup undo` puts everything back' },
    group: { type: 'string', value: 'NAME', help: 'the group that may call it; ezvm unless given' },
    user: { type: 'string', value: 'NAME', help: 'who becomes a member and is allowed what; you, or who called sudo' },
    root: { type: 'string', value: 'DIR', help: 'work on the system below that directory, and run no commands' },
  },
  words: [0, 100],
  async run(refs, flags, context) {
    const root = rootOf(flags, context);
    // Nothing is compiled for whoever cannot install it.
    if (flags['apply'] === true) refuseUnlessRoot(root);
    const user = findBeneficiary(wordFlag(flags, 'user'), context);
    const group = groupOf(flags);
    const plans = await planAtHand(refs, context);
    const { functions, missing } = findFunctions(gatherNeeds(plans));
    const policy = writePolicy(plans, user, functions, textOf(root, POLICY));
    context.report([...missing, ...policy.unnamed.map(cannotName)]);
    const setup: Setup = {
      part: 'helper',
      files: helperFiles(buildHelper(join(context.root, 'src', 'priv')), policy.text, group),
      before: root === '/' ? membership(group, user.name) : [],
      after: [],
    };
    const edited = setup.files.filter((file) => isKept(root, file));
    if (await carryOut(root, setup, flags, context)) {
      if (root === '/') context.report(tryHelper(HELPER, user));
      context.err(
        `installed, with the policy ${POLICY}; ezvm setup undo puts everything back\n${user.name}: log out and in again, so that you are in the group\n`,
      );
    }
    context.report(edited.flatMap((file) => lacking(root, file)));
    return EXIT.ok;
  },
};

function cannotName(path: string): Diagnostic {
  return {
    severity: 'warning',
    code: 'policy-cannot-name',
    message: `a policy cannot name ${JSON.stringify(path)}`,
    help: 'name it by an absolute path of letters, digits and ._+:=@-, or a bridge by letters, digits and ._-',
  };
}

/** What an edited policy does not allow of what the VMs want. */
function lacking(root: string, { path, content }: SetupFile): Diagnostic[] {
  const has = new Set(textOf(root, path).split('\n').map(squeeze));
  const lines = String(content).split('\n').map(squeeze);
  const missing = lines.filter((line) => line.startsWith('allow') && !has.has(line));
  if (missing.length === 0) return [];
  return [
    {
      severity: 'warning',
      code: 'policy-kept',
      message: `${path} is the administrator's own and stays as it is; what the VMs want has these lines more: ${missing.join('; ')}`,
      help: 'add those that are to be allowed, if others there do not allow the same',
    },
  ];
}

/** Empty where there is no such file. */
function textOf(root: string, path: string): string {
  return Buffer.from(readContents(root, path)?.base64 ?? '', 'base64').toString('utf8');
}

/** How far the words of a line are apart means nothing. */
function squeeze(line: string): string {
  return line.trim().replace(/\s+/g, ' ');
}
