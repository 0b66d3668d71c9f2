import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { HostFacts } from '../../src/host/facts.ts';
import { probeHost } from '../../src/host/probe.ts';
import { assemble } from '../../src/plan/assemble.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { QmpClient } from '../../src/qemu/qmp.ts';
import { renderOptions } from '../../src/qemu/render.ts';
import { CHECKOUT } from '../checkout.ts';
import { CATALOG, DEVICES, specWith } from '../one-device.ts';
import { Program } from '../program.ts';
import { startPaused, type Verdict } from './paused.ts';
import { absence, freePorts, furnish, lack } from './stand-ins.ts';
import { FILES, SYSTEMS } from './systems.ts';
import { variationsOf, versionOf } from './variations.ts';

const ACCEPTED: Verdict = { status: 'prelaunch', complaints: [] };

const root = mkdtempSync(join(tmpdir(), 'ezvm-accept-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const { facts: probed } = await probeHost({ paths: [], env: { ...process.env, XDG_CACHE_HOME: join(root, 'cache') } });
/** This machine as it is, but for KVM: what QEMU takes without it, it takes anywhere. */
const HERE: HostFacts = { ...probed, kvm: { usable: false, reason: 'these tests do without it' } };
const ports = await freePorts(40);

let places = 0;
function newPlace(): string {
  const place = join(root, String(places++));
  mkdirSync(place);
  return place;
}

function factsAt(place: string): HostFacts {
  return { ...HERE, dirs: { ...HERE.dirs, run: join(place, 'run'), state: join(place, 'state') } };
}

function keyvalArgv(plan: Plan): string[] {
  const version = HERE.qemu?.version ?? { major: 10, minor: 0, micro: 0 };
  return [plan.qemu.argv[0] ?? '', ...renderOptions(plan.qemu.options, 'keyval', version)];
}

describe.concurrent.each(DEVICES.map((device) => ({ ...device, device })))('$name', ({ device }) => {
  const planned = variationsOf(device).map(({ label, values }) => {
    const place = newPlace();
    const surroundings = { place, version: versionOf(HERE), port: () => ports.pop() ?? 0 };
    const { plan, diagnostics } = assemble(specWith(device, values(surroundings)), CATALOG, factsAt(place));
    const missing = absence(plan, HERE);
    return {
      place,
      plan,
      diagnostics,
      missing,
      title: missing === undefined ? label : `${label} (left out: ${missing})`,
    };
  });

  for (const { title, place, plan, diagnostics, missing } of planned)
    it.skipIf(missing !== undefined)(
      `is ${diagnostics.length > 0 ? 'rightly refused' : 'taken by QEMU'}: ${title}`,
      async () => {
        furnish(plan, place);
        if (diagnostics.length > 0) {
          // What planning refuses, QEMU would have refused.
          expect(diagnostics.map(({ code }) => code)).toEqual(diagnostics.map(() => 'combination-refused'));
          expect((await startPaused(plan)).status).toBeUndefined();
          return;
        }
        expect(await startPaused(plan)).toEqual(ACCEPTED);
        expect(await startPaused(plan, keyvalArgv(plan))).toEqual(ACCEPTED);
      },
    );
});

const program = new Program();
afterAll(() => program.remove());
const host = join(root, 'host.json');
writeFileSync(host, JSON.stringify(factsAt(newPlace())));

/** The absolute paths that examples and cases name, none of which is on this machine. */
const ABSENT_PATHS = /(?<![\w/])\/(dev\/vm1|dev\/hugepages|dev\/kvmfr0|images|boot)(?=[/\s"',}]|$)/gm;

interface StandIn {
  readonly what: string;
  readonly sets: readonly string[];
}

/** What takes the place of the things a plan has and this machine has not. */
function standInsFor(plan: Plan, place: string): StandIn[] {
  const found: StandIn[] = [{ what: '128 MiB of memory', sets: ['memory=128M'] }];
  const missing = new Set<string>();
  if (plan.requirements.some((one) => one.kind === 'unmet' && one.code === 'gl-missing'))
    found.push({ what: 'virtio-vga without GL', sets: ['gpu.type=virtio-vga'] });
  for (const option of plan.qemu.options) {
    const { name, args } = option;
    if (typeof args !== 'object') continue;
    const id = String(args['id'] ?? '');
    const lacking = lack(option, HERE);
    if (args['mem-path'] === '/dev/kvmfr0')
      found.push({ what: 'a file for /dev/kvmfr0', sets: [`display.device=${join(place, 'kvmfr0')}`] });
    if (name === 'machine' && !HERE.qemu?.machines[String(args['type'])])
      found.push({ what: "this QEMU's board", sets: ['machine.version=null'] });
    if (lacking === undefined || missing.has(lacking + id)) continue;
    missing.add(lacking + id);
    if (name === 'netdev') found.push({ what: `user network for ${args['type']}`, sets: [`network.${id}.type=user`] });
    else if (args['type'] === 'egl-headless' && plan.qemu.options.some((other) => other.name === 'spice'))
      found.push({ what: 'SPICE without GL', sets: ['spice.gl=off', 'spice.rendernode=null'] });
    else if (name === 'display') found.push({ what: `no display for ${args['type']}`, sets: ['display.type=none'] });
    else if (name === 'audiodev') found.push({ what: 'no sound', sets: ['audio.backend=none'] });
    else if (name === 'spice')
      found.push({ what: 'SPICE without GL', sets: ['spice.gl=off', 'spice.rendernode=null'] });
    else if (args['driver'] === 'virtio-vga-gl')
      found.push({ what: 'virtio-vga without GL', sets: ['gpu.type=virtio-vga'] });
    else if (args['qom-type'] === 'memory-backend-memfd')
      found.push({ what: 'small pages', sets: ['memory.huge-pages=off'] });
    else if (args['qom-type'] === 'input-linux') found.push({ what: 'no keyboards', sets: ['input=null'] });
    else if (name === 'tpmdev') found.push({ what: 'swtpm', sets: ['tpm.type=swtpm'] });
    else if (id === 'sound') found.push({ what: 'an HDA sound card', sets: ['audio.type=hda'] });
    else if (id.startsWith('net'))
      found.push({
        what: `a virtio card for ${args['driver']}`,
        sets: [`network.${id.replace('-device', '')}.model=virtio`],
      });
    else if (id.startsWith('gpu')) found.push({ what: 'an emulated graphics card', sets: ['gpu.type=std'] });
    else if (id.startsWith('pci')) found.push({ what: 'no PCI devices', sets: ['pci=null'] });
    else throw new Error(`nothing stands in for -${name} ${id}: ${lacking}`);
  }
  return found;
}

/** What TCG says of a processor's features that it does not have; under KVM they are there. */
const TCG_FEATURES = /warning: TCG doesn't support requested feature: CPUID/;

async function planned(file: string, sets: readonly string[]): Promise<Plan> {
  const { exit, out, err } = await program.run(
    'plan',
    '--json',
    '--host',
    host,
    ...sets.flatMap((set) => ['--set', set]),
    file,
  );
  if (exit !== 0) throw new Error(err);
  return JSON.parse(out) as Plan;
}

/** A VM with all that stands in for what is missing here. */
async function furnished(
  name: string,
  text: string,
): Promise<{ place: string; file: string; sets: string[]; replaced: string }> {
  const place = newPlace();
  const file = join(place, `${name}.yaml`);
  const moved = text.replace(ABSENT_PATHS, `${place}/$1`);
  writeFileSync(file, moved);
  const standIns: StandIn[] = moved === text ? [] : [{ what: 'files for disks and devices', sets: [] }];
  // One thing missing may hide another.
  for (let round = 0; round < 4; round++) {
    const plan = await planned(
      file,
      standIns.flatMap(({ sets }) => sets),
    );
    const more = standInsFor(plan, place).filter(({ what }) => standIns.every((one) => one.what !== what));
    if (more.length === 0) break;
    standIns.push(...more);
  }
  return {
    place,
    file,
    sets: standIns.flatMap(({ sets }) => sets),
    replaced: standIns.map(({ what }) => what).join(', '),
  };
}

async function prettyArgv(file: string, sets: readonly string[]): Promise<string[]> {
  const { out } = await program.run('args', '--pretty', '--host', host, ...sets.flatMap((set) => ['--set', set]), file);
  return execFileSync('sh', ['-c', `printf '%s\\0' ${out}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);
}

const vms = await Promise.all(
  [...SYSTEMS, ...FILES].map(async ({ title, text }, index) => ({ title, ...(await furnished(`vm${index}`, text)) })),
);

describe.concurrent('systems, examples and corners', () => {
  for (const { title, place, file, sets, replaced } of vms)
    it(`QEMU takes ${title}, in the place of what is not here: ${replaced}`, async () => {
      const plan = await planned(file, sets);
      furnish(plan, place);
      for (const argv of [plan.qemu.argv, await prettyArgv(file, sets)]) {
        const { status, complaints } = await startPaused(plan, argv);
        expect(complaints.filter((line) => !TCG_FEATURES.test(line))).toEqual([]);
        expect(status).toBe('prelaunch');
      }
    });
});

describe('odd characters', () => {
  /** What a running QEMU has of the values that could become something else on the way. */
  async function valuesIn(qmp: QmpClient): Promise<Record<string, unknown>> {
    const read = (path: string, property: string): Promise<unknown> => qmp.execute('qom-get', { path, property });
    const nodes = (await qmp.execute('query-named-block-nodes', { flat: true })) as {
      'node-name': string;
      file: string;
    }[];
    const files = Object.fromEntries(nodes.map((node) => [node['node-name'], node.file]));
    return {
      serials: await Promise.all([0, 1, 2].map((index) => read(`/machine/peripheral/disk${index}-device`, 'serial'))),
      files: ['disk0', 'disk1', 'disk2', 'disk3'].map((name) => files[name]),
      kernel: await read('/machine', 'kernel'),
      append: await read('/machine', 'append'),
      port: await read('/machine/peripheral/usb0', 'hostport'),
    };
  }

  it('reach QEMU as the very values, written either way', async () => {
    const text = readFileSync(join(CHECKOUT, 'test/golden/cases/escapes.yaml'), 'utf8');
    const { place, file, sets } = await furnished('escapes', text);
    const plan = await planned(file, sets);
    furnish(plan, place);
    for (const argv of [plan.qemu.argv, await prettyArgv(file, sets)]) {
      let found: Record<string, unknown> = {};
      const verdict = await startPaused(plan, argv, async (qmp) => {
        found = await valuesIn(qmp);
      });
      expect(verdict).toEqual(ACCEPTED);
      expect(found).toEqual({
        serials: ['S,1=2', "-q 'x'", 'ö ü'],
        files: [
          `${place}/images/a, b=c,,d.raw`,
          `${place}/images/it's "$HOME" \`x\` %41\\.qcow2`,
          `${place}/images/größer\nals.raw`,
          `${place}/disc:1, two.iso`,
        ],
        kernel: `${place}/boot/vm, linuz`,
        append: `a="b c" d='e' f=$g,h \\ ö`,
        port: '1,id=x',
      });
    }
  });
});
