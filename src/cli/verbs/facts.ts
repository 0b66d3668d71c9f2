import { resolve } from 'node:path';
import { EXIT } from '../../core/diagnostic.ts';
import { readText } from '../../input/read.ts';
import { findFacts } from '../pipeline.ts';
import type { Verb } from '../verb.ts';

/** The complete recordings of recent QEMUs have eight megabytes. */
const MAX_REPLIES = 64 * 1024 * 1024;

export const verb: Verb = {
  usage: 'facts',
  summary: 'Prints what is known about this host as JSON; --host takes it, to plan for this host elsewhere.',
  example: 'ezvm facts > laptop.json && ezvm args --host laptop.json my-vm.yaml',
  flags: {
    replies: { type: 'string', value: 'FILE', help: 'take the part about QEMU from a recorded QMP session' },
    schema: { type: 'boolean', help: "add QEMU's whole schema, with which `check --host` can check every option" },
  },
  words: [0, 0],
  async run(_, flags, context) {
    const { interfacesHere } = await import('../../host/links.ts');
    // Whatever a VM may ask, but for paths, which have no end.
    const questions = { paths: [], interfaces: interfacesHere(), programs: ['virtiofsd', 'passt'], pci: true };
    const { facts, diagnostics } = await findFacts(questions, [], {}, context);
    context.report(diagnostics);
    const file = flags['replies'];
    if (typeof file === 'string') {
      const { readReplies } = await import('../../host/replies.ts');
      const { qemu, schema, kvm } = readReplies(readText(resolve(context.cwd, file), file, MAX_REPLIES), file);
      const recorded = {
        ...facts,
        arch: qemu.arch,
        qemu,
        ...(kvm !== undefined && {
          kvm: kvm ? { usable: true } : { usable: false, reason: 'it was not usable where the session was recorded' },
        }),
      };
      context.out(`${JSON.stringify(flags['schema'] ? { ...recorded, schema } : recorded)}\n`);
      return EXIT.ok;
    }
    const { loadSchema } = await import('../../host/probe.ts');
    context.out(
      `${JSON.stringify(flags['schema'] ? { ...facts, schema: await loadSchema(facts) } : facts, undefined, 2)}\n`,
    );
    return EXIT.ok;
  },
};
