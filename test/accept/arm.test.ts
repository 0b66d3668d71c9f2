import { describe, expect, it } from 'vitest';
import type { HostFacts } from '../../src/host/facts.ts';
import { probeHost } from '../../src/host/probe.ts';
import { assemble } from '../../src/plan/assemble.ts';
import { CATALOG, DEVICES, emptyVm, specWith } from '../one-device.ts';
import { specOf } from '../planned.ts';
import { freePorts } from '../ports.ts';
import { ALSO_OF_QEMU, OURS_ALONE } from '../refusals.ts';
import { startPaused, type Verdict } from './paused.ts';
import { factsAt, newPlace } from './qemus.ts';
import { absence, furnish } from './stand-ins.ts';
import { SYSTEMS } from './systems.ts';
import { variationsOf } from './variations.ts';

const ACCEPTED: Verdict = { status: 'prelaunch', complaints: [] };
/** The board cannot have it, and planning says so by name. */
const REFUSALS = ['address-refused', ...ALSO_OF_QEMU, ...OURS_ALONE];

const { facts } = await probeHost({
  questions: { paths: [], interfaces: [], programs: ['virtiofsd', 'passt'], arch: 'aarch64' },
});
const here: HostFacts = { ...facts, kvm: { usable: false, reason: 'these tests do without it' } };
const installed = facts.qemu?.arch === 'aarch64';
const ports = await freePorts(300);
const EMPTY = emptyVm('machine: virt\nfirmware: none\ngpu: virtio-gpu\n');

describe.skipIf(!installed)(
  `the board virt${installed ? '' : ' (left out: qemu-system-aarch64 is not installed)'}`,
  () => {
    describe.concurrent.each(
      DEVICES.filter(({ section }) => section.name !== 'machine').map((device) => ({ ...device, device })),
    )('$name', ({ device }) => {
      for (const { label, values } of installed ? variationsOf(device) : []) {
        const place = newPlace();
        const given = values({ place, version: '', port: () => ports.pop() ?? 0 });
        // The processors and boards that values are for by themselves are those of PCs.
        if (device.section.name === 'cpu' && label !== 'as it comes') continue;
        // Flash takes no image here that is not 64 MiB to the byte, as no stand-in is.
        if (device.template.type === 'uefi' && label !== 'as it comes') continue;
        const { plan, diagnostics } = assemble(specWith(device, given, EMPTY), CATALOG, factsAt(here, place));
        const refused = diagnostics.map(({ code, message }) => (REFUSALS.includes(code) ? code : message));
        if (refused.length > 0)
          it(`is refused by name: ${label}`, () => expect(REFUSALS).toEqual(expect.arrayContaining(refused)));
        else {
          const missing = absence(plan, here);
          it.skipIf(missing !== undefined)(
            `is taken by QEMU: ${label}${missing === undefined ? '' : ` (left out: ${missing})`}`,
            async () => {
              furnish(plan, place);
              expect(await startPaused(plan)).toEqual(ACCEPTED);
            },
          );
        }
      }
    });

    describe.concurrent('systems of ARM', () => {
      const linux = SYSTEMS.filter(({ title }) =>
        /^the system (linux|debian|fedora|ubuntu|alpine|opensuse)$/.test(title),
      );
      it.each(linux)('QEMU takes $title', async ({ text }) => {
        const place = newPlace();
        const own = `machine: virt\ndisplay: none\nmemory: 512M\ngpu: virtio-vga\n`;
        const { spec, diagnostics } = specOf(`${own}${text.replaceAll('/images', place)}`, CATALOG);
        const assembled = assemble(spec, CATALOG, factsAt(here, place));
        expect([...diagnostics, ...assembled.diagnostics]).toEqual([]);
        furnish(assembled.plan, place);
        expect(await startPaused(assembled.plan)).toEqual(ACCEPTED);
      });
    });
  },
);
