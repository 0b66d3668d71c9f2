import { join } from 'node:path';
import { EXIT } from '../../core/diagnostic.ts';
import { shellJoin } from '../../core/quote.ts';
import { writePolicy } from '../../formats/setup/policy.ts';
import type { Verb } from '../verb.ts';
import { findBeneficiary, planAtHand } from '../vms-at-hand.ts';

export const verb: Verb = {
  usage: 'setup helper [FILE|NAME…]',
  summary:
    'Prints a policy for the setuid helper that lets a user start VMs on disks he may not open himself: all VMs found by\nname, or those named. Then it tells how the helper is built and installed. It changes nothing.',
  example: 'ezvm setup helper windows-11.yaml > policy',
  flags: { user: { type: 'string', value: 'NAME', help: 'who is to start them; you, or who called sudo' } },
  words: [0, 100],
  async run(refs, flags, context) {
    const user = findBeneficiary(typeof flags['user'] === 'string' ? flags['user'] : undefined, context);
    const { text, unnamed } = writePolicy(await planAtHand(refs, context), user);
    context.report(
      unnamed.map((path) => ({
        severity: 'warning',
        code: 'policy-cannot-name',
        message: `a policy cannot name ${JSON.stringify(path)}`,
        help: 'name it by an absolute path of letters, digits and ._+:=@-',
      })),
    );
    context.out(text);
    const sources = join(context.dist, '..', 'src', 'priv');
    context.err(
      [
        'read it, and keep only what is to be allowed. To build the helper, and to install both as root (see docs/helper.md):',
        `  ${shellJoin(['cc', `@${join(sources, 'flags')}`, '-o', 'ezvm-priv'])} ${shellJoin([sources])}/*.c`,
        '  install -o root -g ezvm -m 4750 ezvm-priv /usr/libexec/ezvm-priv',
        '  install -D -o root -g root -m 644 policy /etc/ezvm/policy',
        '',
      ].join('\n'),
    );
    return EXIT.ok;
  },
};
