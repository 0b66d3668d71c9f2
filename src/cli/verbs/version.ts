import { EXIT } from '../../core/diagnostic.ts';
import { formatVersion } from '../../qemu/option.ts';
import { findFacts, NO_QUESTIONS } from '../pipeline.ts';
import { JSON_FLAG, type Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'version',
  summary: 'Prints the versions of ezvm, Node and QEMU.',
  example: 'ezvm version',
  flags: JSON_FLAG,
  words: [0, 0],
  async run(_, flags, context) {
    const { facts } = await findFacts(NO_QUESTIONS, [], {}, context);
    const versions = {
      ezvm: context.version,
      node: process.versions.node,
      qemu: facts.qemu ? formatVersion(facts.qemu.version) : null,
    };
    context.out(
      flags['json']
        ? `${JSON.stringify(versions)}\n`
        : `ezvm ${versions.ezvm}, Node ${versions.node}, ${versions.qemu === null ? 'no QEMU' : `QEMU ${versions.qemu}`}\n`,
    );
    return EXIT.ok;
  },
};
