import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Catalog, includedIn, partPath } from '../../src/catalog/catalog.ts';
import { assemble } from '../../src/plan/assemble.ts';
import { CHECKOUT, folderTemplates, yamlNames } from '../checkout.ts';
import { hostFacts, planOf, specOf } from '../planned.ts';
import { brokenReferences, sharedPlaces } from './references.ts';

const source = folderTemplates();
const catalog = new Catalog(source);
const systems = catalog.layers('os');
const profiles = catalog.layers('profiles');
const pairs = profiles.flatMap((a) => profiles.filter((b) => b !== a).map((b) => [a, b]));
/** A profile that turns to a passed-through card needs to be told which. */
const CARD = 'gpu: { type: passthrough, pci: "0000:03:00.0" }\n';

describe.each(['laptop', 'bare'])('on the host %s', (host) => {
  const facts = hostFacts(host);

  describe.each(systems)('the system %s', (system) => {
    it.each([[], ...profiles.map((name) => [name]), ...pairs])(
      'is a whole VM with a disk and the profiles %s %s',
      (...names) => {
        const text = `template: ${system}\nprofiles: [${names.join(', ')}]\ndisks: [/images/disk.qcow2]\n`;
        for (const more of ['', CARD, 'network: user\nserial: log\n']) {
          const plan = planOf(text + more, catalog, facts);
          expect(brokenReferences(plan.qemu.options)).toEqual([]);
          expect(sharedPlaces(plan.qemu.options)).toEqual([]);
          expect(JSON.stringify(planOf(text + more, catalog, facts))).toBe(JSON.stringify(plan));
          expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
        }
      },
    );
  });
});

describe.each(systems)('the template of the system %s', (system) => {
  it('says how much memory and how many cores it asks for, and who says so', () => {
    const text = readFileSync(join(CHECKOUT, 'templates', 'os', `${system}.yaml`), 'utf8');
    const wanted = 'a comment that names the source, and below it `minimum: { memory: …, cores: … }`';
    expect(text, `${system}.yaml lacks ${wanted}`).toMatch(
      /^# .*\n(#.*\n)*minimum: \{ memory: \d+[MG], cores: \d+ \}$/m,
    );
  });
});

/** What each type of disk is made of; of CD-ROMs and floppies a system may have a driver where it has none for disks. */
const MADE_OF: { readonly [type: string]: string } = {
  disk: 'file: /a.raw',
  lvm: 'vg: a, lv: b',
  nbd: 'path: /a.sock',
  'nbd-tcp': 'host: server',
  iscsi: 'portal: 192.168.1.5, target: iqn.x',
  vvfat: 'dir: /folder',
};

describe.each(systems)('the system %s', (system) => {
  const busOf = (type: string): unknown =>
    specOf(`template: ${system}\ndisks: [{ type: ${type}, ${MADE_OF[type]} }]\n`, catalog).spec.devices.find(
      ({ section }) => section === 'disks',
    )?.params['bus']?.value;

  it('has every disk on the bus that it has a driver for, whatever the disk is made of', () => {
    const disks = catalog.section('disks');
    const types = disks && catalog.types(disks).filter((type) => !['cdrom', 'floppy'].includes(type));
    expect(Object.keys(MADE_OF).toSorted()).toEqual(types);
    const own = busOf('disk');
    for (const type of Object.keys(MADE_OF)) {
      // What cannot be written cannot be on these two.
      if (type === 'vvfat' && (own === 'sata' || own === 'ide'))
        expect(['usb', 'lsi', 'megasas']).toContain(busOf(type));
      else expect([type, busOf(type)]).toEqual([type, own]);
      planOf(`template: ${system}\ndisks: [{ type: ${type}, ${MADE_OF[type]} }]\n`, catalog, hostFacts('laptop'));
    }
  });
});

describe('L9', () => {
  it('has every template in a golden', () => {
    const used = new Set<string>();
    const use = (path: string): void => {
      const doc = source.read(path);
      if (!doc || used.has(path)) return;
      used.add(path);
      for (const part of includedIn(doc)) use(partPath(part));
    };
    const watched = (folders: RegExp): Catalog =>
      new Catalog({
        ...source,
        read: (path) => {
          if (folders.test(path)) use(path);
          return source.read(path);
        },
      });
    for (const folder of ['etc', 'test/golden/cases'])
      for (const name of yamlNames(folder)) {
        const text = readFileSync(join(CHECKOUT, folder, `${name}.yaml`), 'utf8');
        const { spec } = specOf(text, watched(/^(os|profiles)\//));
        for (const { template } of spec.devices) use(template.file.replace('templates/', ''));
        // Planning looks up no device but those that others require.
        assemble(spec, watched(/^devices\//), hostFacts('laptop'));
      }
    const all = source.folders().flatMap((folder) => source.list(folder).map((name) => `${folder}/${name}.yaml`));
    const unseen = all.filter((path) => !used.has(path));
    expect(unseen, 'each wants to be in a VM file of test/golden/cases').toEqual([]);
  });
});
