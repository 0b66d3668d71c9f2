import { Catalog } from '../../catalog/catalog.ts';
import { suggestion } from '../../catalog/params.ts';
import { referenceOf, referenceOfSection } from '../../catalog/reference.ts';
import { EXIT, fault } from '../../core/diagnostic.ts';
import { dirsOf } from '../dirs.ts';
import { templateDirs } from '../inputs.ts';
import { findTemplates } from '../model.ts';
import type { Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'reference [SECTION]',
  summary: 'Prints what a section of a VM file may say, or all of them: keys, values, defaults and examples.',
  example: 'ezvm reference disks',
  flags: {},
  words: [0, 1],
  async run([name], _, context) {
    const catalog = new Catalog(await findTemplates(context.dist, templateDirs(dirsOf(context))));
    if (name === undefined) {
      context.out(referenceOf(catalog));
      return EXIT.ok;
    }
    const section = catalog.section(name);
    const names = catalog.sections.filter(({ internal }) => !internal).map((each) => each.name);
    if (!section || section.internal)
      throw fault(EXIT.usage, 'section-unknown', `there is no section ${name}`, {
        help: suggestion(name, names) ?? `sections are ${names.join(' ')}`,
      });
    context.out(referenceOfSection(catalog, section));
    return EXIT.ok;
  },
};
