import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT, yamlNames } from '../checkout.ts';
import { hostIn } from '../golden/host.ts';
import { CATALOG } from '../one-device.ts';

/** A VM file: what it is, and its text. */
export interface VmText {
  readonly title: string;
  readonly text: string;
}

/** Every system with every profile and with none, on a minimal VM. */
export const SYSTEMS: readonly VmText[] = CATALOG.layers('os').flatMap((system) =>
  [undefined, ...CATALOG.layers('profiles')].map((profile) => ({
    title: `the system ${system}${profile === undefined ? '' : ` with the profile ${profile}`}`,
    text: `template: ${system}\n${profile === undefined ? '' : `profiles: [${profile}]\n`}disks: [/images/disk.qcow2]\nnetwork: user\n`,
  })),
);

/** The examples and the corners that goldens show, for hosts like this one. */
export const FILES: readonly VmText[] = ['etc', 'test/golden/cases'].flatMap((folder) =>
  yamlNames(folder)
    .map((name) => ({
      title: `${folder}/${name}.yaml`,
      text: readFileSync(join(CHECKOUT, folder, `${name}.yaml`), 'utf8'),
    }))
    .filter(({ text }) => hostIn(text) === 'laptop'),
);
