import { describe, expect, it } from 'vitest';
import type { HostFacts } from '../../src/host/facts.ts';
import { assemble } from '../../src/plan/assemble.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { renderOptions } from '../../src/qemu/render.ts';
import { CATALOG, DEVICES, type DeviceType, specWith } from '../one-device.ts';
import { freePorts } from '../ports.ts';
import { ALSO_OF_QEMU, OURS_ALONE } from '../refusals.ts';
import { startPaused, type Verdict } from './paused.ts';
import { ABSENT, factsAt, newPlace, QEMUS } from './qemus.ts';
import { absence, furnish } from './stand-ins.ts';
import { variationsOf, versionOf } from './variations.ts';

const ACCEPTED: Verdict = { status: 'prelaunch', complaints: [] };

const ports = await freePorts(300 * QEMUS.length);

function keyvalArgv(plan: Plan, { qemu }: HostFacts): string[] {
  const version = qemu?.version ?? { major: 10, minor: 0, micro: 0 };
  return [plan.qemu.argv[0] ?? '', ...renderOptions(plan.qemu.options, 'keyval', version)];
}

function plannedFor(device: DeviceType, facts: HostFacts) {
  return variationsOf(device).map(({ label, values }) => {
    const place = newPlace();
    const surroundings = { place, version: versionOf(facts), port: () => ports.pop() ?? 0 };
    const { plan, diagnostics } = assemble(specWith(device, values(surroundings)), CATALOG, factsAt(facts, place));
    const tooOld = plan.requirements.find((each) => each.kind === 'unmet' && each.code === 'qemu-too-old');
    const missing = tooOld ? undefined : absence(plan, facts);
    const title = missing === undefined ? label : `${label} (left out: ${missing})`;
    return { place, plan, diagnostics, tooOld, missing, title };
  });
}

for (const absent of ABSENT) it.skip(absent);

describe.each(QEMUS)('$title', ({ facts }) => {
  describe.concurrent.each(DEVICES.map((device) => ({ ...device, device })))('$name', ({ device }) => {
    for (const { title, place, plan, diagnostics, tooOld, missing } of plannedFor(device, facts))
      it.skipIf(missing !== undefined)(
        `is ${diagnostics.length > 0 || tooOld ? 'rightly refused' : 'taken by QEMU'}: ${title}`,
        async () => {
          furnish(plan, place);
          if (diagnostics.length > 0) {
            const codes = diagnostics.map(({ code }) => code);
            if (codes.some((code) => OURS_ALONE.includes(code))) return;
            expect(ALSO_OF_QEMU).toEqual(expect.arrayContaining(codes));
            expect((await startPaused(plan)).status).toBeUndefined();
            return;
          }
          if (tooOld) {
            expect((await startPaused(plan)).status, 'it is not too old').toBeUndefined();
            return;
          }
          expect(await startPaused(plan)).toEqual(ACCEPTED);
          expect(await startPaused(plan, keyvalArgv(plan, facts))).toEqual(ACCEPTED);
        },
      );
  });
});
