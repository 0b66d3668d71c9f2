import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import type { Diagnostic } from '../../src/core/diagnostic.ts';
import { isEzkvm, translateEzkvm } from '../../src/formats/ezkvm.ts';
import { parse } from '../../src/model/parse.ts';
import { assemble } from '../../src/plan/assemble.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { renderOption } from '../../src/qemu/render.ts';
import { CHECKOUT, folderTemplates } from '../checkout.ts';
import { Built } from '../cli/built.ts';
import { hostFacts, specOfDoc } from '../planned.ts';

const CATALOG = new Catalog(folderTemplates());
const LAPTOP = hostFacts('laptop');

interface Outcome {
  readonly notes: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
  readonly faults: readonly Diagnostic[];
  readonly plan: Plan;
  /** The options as key=value, one each. */
  readonly options: readonly string[];
}

function outcome(text: string): Outcome {
  const parsed = parse(text, 'old.yaml', 'taken');
  expect(parsed.diagnostics).toEqual([]);
  expect(isEzkvm(parsed.doc)).toBe(true);
  const { doc, diagnostics } = translateEzkvm(parsed.doc);
  const layered = specOfDoc(doc, CATALOG);
  const assembled = assemble(layered.spec, CATALOG, LAPTOP);
  const all = [...diagnostics, ...layered.diagnostics, ...assembled.diagnostics];
  return {
    notes: all.filter(({ severity }) => severity === 'note'),
    warnings: all.filter(({ code, severity }) => /^(key-unknown|option-ignored)$/.test(code) && severity === 'warning'),
    faults: all.filter(({ severity }) => severity === 'error'),
    plan: assembled.plan,
    options: assembled.plan.qemu.options.map((option) =>
      renderOption(option, 'keyval', { major: 10, minor: 0, micro: 0 }).join(' '),
    ),
  };
}

/** A file without faults. */
function made(text: string): Outcome {
  const found = outcome(text);
  expect(found.faults.map(({ message }) => message)).toEqual([]);
  return found;
}

function optionsOf(text: string, pattern: RegExp): string[] {
  return made(text).options.filter((option) => pattern.test(option));
}

/** `line:column code`, of what was told. */
function places(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics.map(({ origin, code }) => `${origin?.line}:${origin?.column} ${code}`);
}

describe('a file is one of ezkvm’s', () => {
  it.each([
    '',
    'general: { name: a }',
    'system:',
    'gpu: { type: no_gpu }\nstorage: []',
    'extras: []',
    'host: {}',
    'gpu: { type: no_gpu }',
    'display: { type: remote-viewer }\nspice:',
    'spice: { addr: 127.0.0.1, port: 5901 }',
    'network: [{ type: x550vf, pci: "0000:05:10.0" }]',
    'gpu: { type: passthrough, pci: [{ vm_id: "0.0", host_id: "03:00.0" }] }',
    'gpu: { type: virtio-vga-gl, pci_address: 0x2 }',
    'network: [{ type: tap, ifname: tap1, upscript: /a, downscript: /b }]',
    'network: [{ type: bridge, driver: e1000 }]',
    'network: [{ type: bridge, extra_device_options: ["mtu=9000"] }]',
    'system: &s\n  cpu: { cores: 2 }\n',
  ])('by its sections, or by none: %j', (text) => expect(isEzkvm(parse(text, 'f').doc)).toBe(true));

  it.each([
    'template: linux',
    'gpu: std',
    'disks: []\nstorage: []',
    'network: user',
    'system: x\ncpu: 2',
    'display: { type: gtk }',
    'spice: { type: tcp, port: 5901 }',
    'display: remote-viewer',
    'gpu: { type: no_gpu }\ntpm: swtpm',
  ])('and not when it is a VM file, with a slip or without: %j', (text) =>
    expect(isEzkvm(parse(text, 'f').doc)).toBe(false),
  );
});

describe('anchors and aliases', () => {
  it('stand for what they do with ezkvm, each value at its own place', () => {
    const { options } = made(
      'general: { name: &n old }\nsystem: &s\n  cpu: { cores: &c 2 }\n  memory: { max: 64 }\nextras: [-name, *n]\n',
    );
    expect(options).toContain('-smp cpus=2,sockets=1,cores=2,threads=1');
    expect(options).toContain('-name old');
  });

  it.each([
    ['unknown', 'general: { name: *n }\n'],
    ['of itself', 'general: &g { name: *g }\n'],
    [
      'of millions',
      `host: &a0 [x, x, x, x, x, x, x, x]\n${Array.from({ length: 8 }, (_, n) => `k${n}: &a${n + 1} [${Array(8).fill(`*a${n}`).join(', ')}]\n`).join('')}`,
    ],
  ])('are refused where they are %s', (_, text) => {
    const { diagnostics } = parse(text, 'old.yaml', 'taken');
    expect(diagnostics.map(({ code }) => code)).toContain('yaml-alias');
  });
});

describe('what ezkvm gives every VM', () => {
  const { options, plan } = made('');

  it.each([
    '-machine q35,hpet=off',
    '-accel kvm',
    '-m size=16G',
    '-cpu qemu64,aes=on,pni=on,popcnt=on,sse4.1=on,sse4.2=on,ssse3=on,enforce=on',
    '-smp cpus=4,sockets=1,cores=4,threads=1',
    '-rtc base=localtime,driftfix=slew',
    '-global driver=kvm-pit,property=lost_tick_policy,value=discard',
    '-boot menu=on,strict=on,reboot-timeout=1000',
    '-display none',
  ])('is %s', (option) => expect(options).toContain(option));

  it('is nothing else: no card, no disk, no network, no sound, nothing beside QEMU', () => {
    expect(options.filter((option) => /^-(device|netdev|blockdev|audiodev|spice)/.test(option))).toEqual([]);
    expect(plan.sidecars).toEqual([]);
  });
});

describe('general and system', () => {
  it('give name, uuid, firmware with its variables, memory in MiB, processors', () => {
    const { plan, options } = made(`general: { name: office }
system:
  bios: { type: ovmf, uuid: 04D064C3-66a1-4aa7-9589-f8b3ecf91cd7, file: /dev/vm1/efi, secure_boot: false }
  memory: { max: 3072 }
  cpu: { model: host, sockets: 2, cores: 3, flags: "-svm, vendor=GenuineIntel" }
`);
    expect(plan.vm).toMatchObject({ name: 'office', uuid: '04d064c3-66a1-4aa7-9589-f8b3ecf91cd7' });
    expect(options).toEqual(expect.arrayContaining(['-m size=3G', '-cpu host,svm=off,vendor=GenuineIntel']));
    expect(options).toContain('-smp cpus=6,sockets=2,cores=3,threads=1');
    expect(options.find((option) => option.includes('pflash1,'))).toContain('/dev/vm1/efi');
  });

  it.each([
    ['{ type: ovmf, file: /v, size: 2M }', 'OVMF_CODE.secboot.fd', true],
    ['{ type: ovmf, file: /v, size: 2M, secure_boot: false }', 'OVMF_CODE.fd', false],
    ['{ type: ovmf, file: /v, arch: 32bit }', 'OVMF32_CODE_4M.fd', false],
  ])('take the very image of ezkvm for %s, because variables fit no other', (bios, image, smm) => {
    const text = `system: { bios: ${bios} }`;
    expect(optionsOf(text, /^-blockdev.*pflash0/)[0]).toContain(`/usr/share/ezkvm/${image}`);
    expect(optionsOf(text, /^-machine/)[0]?.includes('smm=on')).toBe(smm);
  });

  it('keep ezkvm’s flags when only the model is given, and none when they are empty', () => {
    expect(optionsOf('system: { cpu: { model: Nehalem } }', /^-cpu/)).toEqual([
      '-cpu Nehalem,aes=on,pni=on,popcnt=on,sse4.1=on,sse4.2=on,ssse3=on,enforce=on',
    ]);
    expect(optionsOf('system: { cpu: { model: host, flags: "" } }', /^-cpu/)).toEqual(['-cpu host']);
    expect(optionsOf('system: { cpu: { model: "host,topoext", flags: -svm } }', /^-cpu/)).toEqual([
      '-cpu host,topoext=on,svm=off',
    ]);
  });

  it('give a TPM whose state stays where it is, and Apple’s controller', () => {
    const { plan, options } = made(`system:
  tpm: { type: swtpm, disk: /dev/vm1/tpm, socket: /var/x.sock }
  applesmc: { osk: "one two, three ${'x'.repeat(49)}" }
`);
    expect(plan.sidecars[0]?.argv).toContain('backend-uri=file:///dev/vm1/tpm');
    expect(options).toContain('-device tpm-tis,tpmdev=tpm');
    expect(options).toContain(`-device isa-applesmc,id=applesmc,osk=one two,, three ${'x'.repeat(49)}`);
  });

  it('give no controller for what cannot be a key', () => {
    const { options, notes } = made('system: { applesmc: { osk: short } }');
    expect(options.filter((option) => option.includes('applesmc'))).toEqual([]);
    expect(notes.map(({ message }) => message)).toContain(
      'ezkvm forgot system.applesmc; so does ezvm, because a key has 64 characters, and this one 5',
    );
  });
});

describe('screens', () => {
  it.each([
    ['spice: {}', '-spice addr=127.0.0.1,port=5900,disable-ticketing=on'],
    ['spice: { addr: 127.0.0.1, port: 5907 }', '-spice addr=127.0.0.1,port=5907,disable-ticketing=on'],
    ['spice: { addr: 0.0.0.0, port: 5907 }', '-spice addr=127.0.0.1,port=5907,disable-ticketing=on'],
    ['spice: { addr: 192.168.1.7, port: "5907" }', '-spice addr=127.0.0.1,port=5907,disable-ticketing=on'],
    ['spice: { addr: 127.0.0.1, port: 70000 }', '-spice addr=127.0.0.1,port=5900,disable-ticketing=on'],
    ['spice: { port: 5907 }', '-spice addr=127.0.0.1,port=5900,disable-ticketing=on'],
    ['spice: { path: /s, gl: on }', '-spice unix=on,addr=/s,disable-ticketing=on,gl=on'],
    [
      'spice: { path: /s, gl: on, render_node: /dev/dri/r }',
      '-spice unix=on,addr=/s,disable-ticketing=on,gl=on,rendernode=/dev/dri/r',
    ],
    ['spice: { path: /s, gl: true }', '-spice unix=on,addr=/s,disable-ticketing=on'],
  ])('%s is %s, with sound', (text, option) => {
    const { options } = made(`general: { name: a }\n${text}`);
    expect(options).toContain(option);
    expect(options.filter((each) => /^-(audiodev spice|device (ich9-intel-hda|hda-duplex))/.test(each))).toHaveLength(
      3,
    );
    expect(options.filter((each) => each.startsWith('-display'))).toEqual(['-display none']);
  });

  it('draw for SPICE on a port without showing a window', () => {
    const text =
      'spice: { addr: 127.0.0.1, port: 5907, gl: on, render_node: /dev/dri/r }\ngpu: { type: virtio-vga-gl }\nstorage: []';
    expect(optionsOf(text, /^-display|virtio-vga/)).toEqual([
      expect.stringContaining('-device virtio-vga-gl'),
      '-display egl-headless,rendernode=/dev/dri/r',
    ]);
  });

  it.each([
    ['spice: { addr: 127.0.0.1, port: 5907 }', 'virtio-vga,'],
    ['spice: { path: /s, gl: true }', 'virtio-vga,'],
    ['spice: { path: /s, gl: on }', 'virtio-vga-gl,'],
    ['display: { type: gtk }', 'virtio-vga-gl,'],
    ['display: { type: gtk, gl: false }', 'virtio-vga,'],
  ])('%s has the card %s', (text, card) => {
    expect(optionsOf(`general:\n${text}\ngpu: { type: virtio-vga-gl }`, /virtio-vga/)[0]).toContain(card);
  });

  it('send the viewer where SPICE is', () => {
    const viewer = (text: string): readonly string[] =>
      made(
        `general:\ndisplay: { type: remote-viewer, auto_resize: false, full_screen: true }\n${text}`,
      ).plan.sidecars[0]?.argv.slice(1) ?? [];
    const flags = ['--title=old', '--full-screen', '--auto-resize=never'];
    expect(viewer('spice: { addr: "::", port: 5907 }')).toEqual([...flags, 'spice://127.0.0.1:5907']);
    expect(viewer('spice: { addr: "::1", port: 5907 }')).toEqual([...flags, 'spice://[::1]:5907']);
    expect(viewer('spice: { path: /s/x }')).toEqual([...flags, 'spice+unix:///s/x']);
  });

  it('give Looking Glass its memory and its client', () => {
    const { plan, options } = made(`general:
spice: { addr: 0.0.0.0, port: 5903 }
display:
  type: looking_glass
  device: { path: /dev/shm/lg, size: 64M }
  window: { size: 800x600, full_screen: false }
  input: { grab_keyboard: false, escape_key: KEY_F11 }
`);
    expect(options.filter((option) => option.includes('/dev/shm/lg'))[0]).toContain('size=67108864');
    expect(plan.sidecars[0]?.argv.slice(1)).toEqual([
      'app:shmFile=/dev/shm/lg',
      'spice:host=127.0.0.1',
      'spice:port=5903',
      'win:title=old',
      'input:grabKeyboard=no',
      'win:fullScreen=no',
      'win:size=800x600',
      'input:escapeKey=KEY_F11',
    ]);
  });

  it('give a window a tablet on a port that is free', () => {
    const usb =
      'host: { usb: [{ vm_port: 15, host_bus: 1, host_port: 2.2 }, { vm_port: "3", host_bus: "2", host_port: "1" }] }';
    expect(optionsOf(`display: { type: gtk }\n${usb}`, /-device usb-/)).toEqual(
      [
        '-device usb-host,id=usb1,hostbus=2,hostport=1,bus=xhci.0,port=3',
        '-device usb-tablet,id=tablet,bus=xhci.0,port=14',
        '-device usb-host,id=usb0,hostbus=1,hostport=2.2,bus=xhci.0,port=15',
      ].toSorted(
        (a, b) => (a.includes('tablet') ? 1 : 0) - (b.includes('tablet') ? 1 : 0) || (a.includes('usb0') ? -1 : 1),
      ),
    );
  });
});

describe('devices of the host', () => {
  it('keep their functions, and get a port for each slot', () => {
    const text = `gpu:
  type: passthrough
  pci:
    - { vm_id: "0.0", host_id: "0000:03:00.0", multi_function: true }
    - { vm_id: "0.1", host_id: "03:00.1" }
host:
  pci:
    - { vm_id: "1.0", host_id: "0000:05:00.0", multi_function: true }
    - { vm_id: "2.0", host_id: "0000:06:00.0" }
    - { vm_id: "2.2", host_id: "0000:06:00.1" }
`;
    expect(optionsOf(text, /vfio-pci/)).toEqual([
      '-device vfio-pci,host=0000:03:00.0,id=gpu.0,bus=rp-14.0,addr=0.0,multifunction=on',
      '-device vfio-pci,host=0000:03:00.1,id=gpu.1,bus=rp-14.0,addr=0.1',
      '-device vfio-pci,host=0000:05:00.0,id=pci0.0,bus=rp-13.0,addr=0.0,multifunction=on',
      '-device vfio-pci,host=0000:06:00.0,id=pci1.0,bus=rp-13.1,addr=0.0,multifunction=on',
      '-device vfio-pci,host=0000:06:00.1,id=pci1.1,bus=rp-13.1,addr=0.2',
    ]);
  });

  it('may be no card at all', () => {
    expect(optionsOf('gpu: { type: passthrough, pci: [] }\ngeneral:', /vfio|vga/i)).toEqual([]);
  });
});

describe('storage', () => {
  const device = (text: string): string[] =>
    optionsOf(`storage:\n${text}`, /^-device (scsi-hd|virtio-blk|ide-cd|pvscsi)/);
  const drive = (text: string): string[] => optionsOf(`storage:\n${text}`, /^-blockdev raw|^-blockdev qcow2/);

  it('keeps buses, targets and ports as the positions say', () => {
    const found = device(`  - { type: ide-cd, file: a.iso }
  - { type: scsi-hd, file: /b, boot_index: 0 }
  - { type: virtio-blk-pci, file: /c, boot_index: 1 }
`);
    expect(found[0]).toContain('pvscsi,id=pvscsi');
    expect(found[1]).toMatch(/ide-cd.*bus=ide\.0/);
    expect(found[2]).toMatch(/scsi-hd.*device_id=drive-scsi1.*bus=pvscsi\.0,scsi-id=1,bootindex=0/);
    expect(found[3]).toMatch(/virtio-blk-pci.*bus=rp-11\.2.*bootindex=1/);
  });

  it('finds a port for a drive whose position SATA has not', () => {
    const many = Array.from({ length: 8 }, (_, index) => `  - { type: ide-cd, file: /${index}.iso }\n`);
    expect(outcome(`storage:\n${many.join('')}`).faults).not.toEqual([]);
    const mixed = ['scsi-hd', 'ide-cd', 'scsi-hd', 'scsi-hd', 'scsi-hd', 'scsi-hd', 'ide-cd', 'ide-cd'];
    const found = device(mixed.map((type, index) => `  - { type: ${type}, file: /${index} }\n`).join(''));
    expect(found.filter((each) => each.includes('ide-cd')).map((each) => /bus=(ide\.\d)/.exec(each)?.[1])).toEqual([
      'ide.1',
      'ide.0',
      'ide.2',
    ]);
  });

  it('keeps formats, caches and what becomes of freed space', () => {
    const plain = drive('  - { type: scsi-hd, file: /a.qcow2 }\n')[0];
    expect(plain).toMatch(/^-blockdev raw,.*discard=ignore,detect-zeroes=on,cache\.direct=on/);
    const told = drive(
      '  - { type: virtio-blk-pci, file: /a, format: qcow2, discard: "on", detect_zeroes: "off", cache: write-back }\n',
    )[0];
    expect(told).toMatch(/^-blockdev qcow2,.*discard=unmap,detect-zeroes=off,cache\.direct=off/);
  });

  it('passes on what is extra, where it belongs', () => {
    const text =
      '  - { type: scsi-hd, file: /a, rotation_rate: 7200, extra_drive_options: ["cache=unsafe", "file.locking=off,werror=stop"], extra_device_options: [vendor=ACME, bootindex=7] }\n';
    expect(drive(text)[0]).toMatch(/cache\.no-flush=on,file\.driver=file.*file\.locking=off/);
    expect(device(text)[1]).toMatch(/werror=stop,.*bootindex=7,rotation_rate=7200,vendor=ACME/);
  });
});

describe('drive options', () => {
  it('that are limits are ours', () => {
    const options = optionsOf(
      'storage: [{ type: virtio-blk-pci, file: /a, extra_drive_options: ["bps=1000000,bps_rd_max=0", "iops_wr_max_length=3,iops_wr_max=90,iops_wr=40", throttling.bps-total-max=2000000, iops_size=4096] }]',
      /throttle/,
    ).join('\n');
    for (const [name, value] of Object.entries({
      'bps-total': 1000000,
      'iops-write': 40,
      'iops-write-max': 90,
      'iops-write-max-length': 3,
      'bps-total-max': 2000000,
      'iops-size': 4096,
    }))
      expect(options).toMatch(new RegExp(`"${name}":${value}[,}]`));
    expect(options).not.toContain('bps-read');
  });

  it('that change nothing are passed over with a warning', () => {
    const { faults, warnings } = outcome(
      'storage: [{ type: scsi-hd, file: /a, extra_drive_options: [copy-on-read=on] }]',
    );
    expect(faults).toEqual([]);
    expect(places(warnings)).toEqual(['1:60 option-ignored']);
  });

  const disk = (type: string, ...extra: string[]): string =>
    `storage: [{ type: ${type}, file: /a, extra_drive_options: ${JSON.stringify(extra)} }]`;

  it.each(['if=none', 'media=disk', 'snapshot=off', 'id=drive-scsi0'])(
    'that say what is so anyhow are taken: %s',
    (extra) => {
      const { faults, warnings, notes } = outcome(disk('scsi-hd', extra));
      expect([...faults, ...warnings]).toEqual([]);
      expect(notes.map(({ message }) => message).join()).not.toContain(extra);
    },
  );

  it.each(['id=mine', 'node-name=mine', 'index=3', 'bus=1', 'unit=2'])('that name or move it are told: %s', (extra) => {
    const { faults, warnings, options } = outcome(disk('scsi-hd', extra));
    expect(faults).toEqual([]);
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining(extra)]);
    expect(options.join()).not.toContain('mine');
  });

  it.each([
    ['if=virtio', 'which then cannot be that of the item'],
    ['media=dvd', 'QEMU knows no media=dvd'],
  ])('that QEMU or the disk could not stand are refused: %s', (extra, message) => {
    expect(outcome(disk('virtio-blk-pci', extra)).faults.map((fault) => fault.message)).toEqual([
      expect.stringContaining(message),
    ]);
  });

  it('keep the disk as it is', () => {
    const [node] = optionsOf(disk('virtio-blk-pci', 'snapshot=on'), /^-blockdev/);
    expect(node).toMatch(
      /^-blockdev qcow2,.*backing\.read-only=on,backing\.file\.driver=file,backing\.file\.filename=\/a,/,
    );
    expect(
      outcome('storage: [{ type: scsi-hd, file: "nbd://a", extra_drive_options: [snapshot=on] }]').faults,
    ).toHaveLength(1);
  });

  it('make a disk read-only that is a CD to them', () => {
    expect(optionsOf(disk('virtio-blk-pci', 'media=cdrom'), /^-blockdev/)[0]).toContain('read-only=on');
  });

  it('of a CD drive change what they can', () => {
    const { faults, warnings, options } = outcome(
      disk('ide-cd', 'media=cdrom,readonly=on', 'aio=threads', 'format=qcow2', 'cache=none', 'rerror=stop'),
    );
    expect(faults).toEqual([]);
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining('cache: a CD is only read')]);
    expect(options.find((option) => option.startsWith('-blockdev'))).toMatch(/^-blockdev qcow2,.*file\.aio=threads/);
    expect(options.find((option) => option.includes('ide-cd'))).toContain('rerror=stop');
  });

  it('are read by QEMU, whatever they look like', () => {
    const text = disk('virtio-blk-pci', 'file.locking=off,cache.writeback=off', 'l2-cache-size=4M', 'x=a,,b');
    expect(optionsOf(text, /^-blockdev/)[0]).toMatch(/file\.locking=off.*l2-cache-size=4194304,x=a,,b/);
    expect(made(text).plan.qemu.argv.filter((word) => word.startsWith('virtio-blk-pci,'))).toEqual([
      expect.stringContaining('write-cache=off'),
    ]);
  });
});

describe('device options', () => {
  const device = (type: string, ...extra: string[]): Outcome =>
    outcome(`storage: [{ type: ${type}, file: /a, extra_device_options: ${JSON.stringify(extra)} }]`);

  it('count before the keys of the item, as they come last', () => {
    const text =
      'storage: [{ type: scsi-hd, file: /a, rotation_rate: 7200, extra_device_options: [rotation_rate=5400, device_id=mine] }]';
    expect(optionsOf(text, /scsi-hd/)[0]).toMatch(/rotation_rate=5400/);
    expect(optionsOf(text, /scsi-hd/)[0]).toContain('device_id=mine');
  });

  it('that name or move it are told, and its drive is its own', () => {
    const { faults, warnings, options } = device('virtio-blk-pci', 'id=a,bus=pci.1', 'addr=0x7', 'drive=drive-virtio0');
    expect(faults).toEqual([]);
    expect(warnings).toHaveLength(3);
    expect(options.join()).not.toContain('drive-virtio0');
    expect(device('virtio-blk-pci', 'drive=other').faults[0]?.message).toContain('there is none called other');
  });

  it('may name the port of a CD drive', () => {
    expect(device('ide-cd', 'bus=ide.3').options.join()).toContain('bus=ide.3');
  });
});

describe('what a disk is made of', () => {
  const node = (file: string, more = ''): string | undefined =>
    made(`storage: [{ type: scsi-hd, file: ${JSON.stringify(file)}${more} }]`).options.find((option) =>
      option.startsWith('-blockdev'),
    );

  it.each([
    ['nbd://10.0.0.1/data', /^-blockdev nbd,.*server\.host=10\.0\.0\.1,server\.port=10809,export=data/],
    ['nbd://[::1]:10810', /server\.host=::1,server\.port=10810$/],
    ['nbd+unix:///data?socket=/run/nbd', /server\.type=unix,server\.path=\/run\/nbd,export=data/],
    [
      'iscsi://10.0.0.1:3261/iqn.2004-04.com.example:disk/2',
      /^-blockdev iscsi,.*portal=10\.0\.0\.1:3261,target=iqn\.2004-04\.com\.example:disk,lun=2/,
    ],
    ['fat:/folder', /file\.driver=vvfat,file\.dir=\/folder.*file\.rw=off/],
    ['fat:rw:12:/folder', /fat-type=12,file\.rw=on/],
    ['file:/a', /file\.filename=\/a,/],
  ])('may be an address of QEMU’s: %s', (file, wanted) => expect(node(file)).toMatch(wanted));

  it.each(['https://example.org/a.img', 'json:{}', 'ssh://a/b', 'iscsi://me%secret@10.0.0.1/iqn.a/1'])(
    'is refused where there is no such type: %s',
    (file) => {
      const { faults } = outcome(`storage: [{ type: scsi-hd, file: ${JSON.stringify(file)} }]`);
      expect(faults.map(({ message }) => message)).toEqual([expect.stringContaining('a path is wanted')]);
    },
  );

  it('is nothing in an empty CD drive', () => {
    const { options } = made('storage: [{ type: ide-cd, file: "" }]');
    expect(options.filter((option) => option.startsWith('-blockdev'))).toEqual([]);
  });
});

describe('network', () => {
  const found = (text: string): string[] => optionsOf(`general:\nnetwork:\n${text}`, /^-netdev|netdev=|vfio/);

  it('keeps bridges, scripts, cards and addresses', () => {
    const options = found(`  - { type: bridge, mac: "BC:24:11:00:00:01" }
  - { type: bridge, bridge: br7, driver: e1000e, mac: "BC:24:11:00:00:02" }
  - { type: tap, upscript: /up, downscript: /down, vhost: "off", ifname: tap7, driver: igb, mac: "BC:24:11:00:00:03" }
  - { type: tap, mac: "BC:24:11:00:00:04", extra_netdev_options: [queues=4], extra_device_options: [mq=on, vectors=10] }
`);
    expect(options).toEqual([
      '-netdev bridge,id=net0,br=vmbr0',
      '-device virtio-net-pci,id=net0-device,netdev=net0,mac=bc:24:11:00:00:01,bus=rp-10.0,addr=0',
      '-netdev bridge,id=net1,br=br7',
      '-device e1000e,id=net1-device,netdev=net1,mac=bc:24:11:00:00:02,bus=rp-10.1,addr=0',
      '-netdev tap,id=net2,ifname=tap7,script=/up,downscript=/down,vhost=off',
      '-device igb,id=net2-device,netdev=net2,mac=bc:24:11:00:00:03,bus=rp-10.2,addr=0',
      '-netdev tap,id=net3,script=/var/lib/qemu/bridge-up,downscript=/var/lib/qemu/bridge-down,vhost=on,queues=4',
      '-device virtio-net-pci,id=net3-device,netdev=net3,mac=bc:24:11:00:00:04,bus=rp-10.3,addr=0,mq=on,vectors=10',
    ]);
  });

  it('goes by what its extra options say last', () => {
    const options =
      found(`  - { type: tap, upscript: /up, downscript: "no", extra_netdev_options: ["ifname=tap5,vhost=off", sndbuf=0], extra_device_options: ["mac=BC-24-11-00-00-05", "bus=pci.1,addr=0x5"] }
  - { type: tap, upscript: "no", downscript: "no", ifname: tap6, mac: "BC:24:11:00:00:06" }
`);
    expect(options).toEqual([
      '-netdev tap,id=net0,ifname=tap5,script=/up,downscript=no,vhost=off,sndbuf=0',
      '-device virtio-net-pci,id=net0-device,netdev=net0,mac=bc:24:11:00:00:05,bus=rp-10.0,addr=0',
      '-netdev tap,id=net1,ifname=tap6,script=no,downscript=no,vhost=on',
      '-device virtio-net-pci,id=net1-device,netdev=net1,mac=bc:24:11:00:00:06,bus=rp-10.1,addr=0',
    ]);
  });

  it('hands over the virtual function that it names, with its address', () => {
    const text = `general: { name: a }
network:
  - { type: bridge, mac: "BC:24:11:00:00:04" }
  - { type: x550vf, parent: eth0, vf: 3, pci: "0000:07:10.3", mac: "BC:24:11:00:00:05", extra_device_options: [x-no-mmap=on] }`;
    expect(optionsOf(text, /vfio/)).toEqual([
      '-device vfio-pci,id=net1-device,host=0000:07:10.3,bus=rp-10.1,addr=0,rombar=0,x-no-mmap=on',
    ]);
    expect(made(text).plan.requirements).toContainEqual(expect.objectContaining({ code: 'interface-unknown' }));
    expect(made(text).notes.at(-1)?.message).toContain('sees to it before a start that it has its address');
  });

  it('hands a virtual function of no card over after the devices of the host', () => {
    const text = `host: { pci: [{ vm_id: "0", host_id: "0000:05:00.0" }] }
network: [{ type: x550vf, parent: eth0, vf: /bin/up, pci: "0000:07:10.3", mac: "BC:24:11:00:00:05" }]`;
    expect(optionsOf(text, /vfio/)[1]).toBe(
      '-device vfio-pci,host=0000:07:10.3,id=pci1.0,bus=rp-13.1,addr=0.0,rombar=0',
    );
    expect(made(text).notes.at(-1)?.help).toContain('ip link set eth0 vf /bin/up mac BC:24:11:00:00:05');
  });
});

describe('text', () => {
  it('is text, whatever it looks like: ezkvm knows no references', () => {
    expect(optionsOf('storage: [{ type: ide-cd, file: "/a,b ${vm.name}" }]', /^-blockdev/)[0]).toContain(
      '/a,,b ${vm.name}',
    );
  });

  it('of extras is passed on', () => {
    const { options } = made(
      'extras: ["-device usb-mouse,id=m", -no-shutdown, "-name", "a b", "-msg timestamp=on -d guest_errors"]',
    );
    expect(options.slice(-5)).toEqual([
      '-device usb-mouse,id=m',
      '-no-shutdown',
      '-name a b',
      '-msg timestamp=on',
      '-d guest_errors',
    ]);
  });
});

describe('what is told', () => {
  it('are the keys that ezkvm ignored, and where ezvm does otherwise, each with its place', () => {
    const { notes } = made(`general:
  name: a
  uuid: 11111111-2222-4333-8444-555555555555
system:
  chipset: { type: q35, version: "8.1" }
  memory: { max: 1024, balloon: true }
gpu:
  type: virtio-vga-gl
  memory: 256
  pci_address: "0x2"
display: { type: remote-viewer, render_node: /dev/dri/r }
spice: { addr: 0.0.0.0, port: 5903 }
network:
  - { type: bridge }
extras: [-S]
`);
    expect(places(notes)).toEqual([
      '1:1 ezkvm-file',
      '3:9 ezkvm-ignored',
      '5:25 ezkvm-ignored',
      '6:33 ezkvm-ignored',
      '12:16 ezkvm-differs',
      '11:33 ezkvm-ignored',
      '9:3 ezkvm-ignored',
      '10:16 ezkvm-differs',
      '8:3 ezkvm-differs',
      '14:5 ezkvm-differs',
      '15:10 ezkvm-ignored',
    ]);
    for (const { message } of notes) expect(message).toMatch(/ezvm|ezkvm|not used|so does/);
  });

  it.each([
    ['general: { nam: a }', '1:12 key-unknown', 'did you mean name?'],
    ['system: { cpu: { corse: 2 } }', '1:18 key-unknown', 'did you mean cores?'],
    ['storage: [{ type: scsi-hd, file: /a, bootindex: 1 }]', '1:38 key-unknown', 'did you mean boot_index?'],
    ['storage: [{ type: scsi-hd, file: /a, comment: hello }]', '1:38 key-unknown', 'known are'],
    ['system:\nmemroy: {}', '2:1 key-unknown', 'known are'],
    ['system: { <<: { cpu: { cores: 2 } } }', '1:11 key-unknown', 'known are'],
  ])('is a warning where ezkvm passes over it: %s', (text, place, help) => {
    const { faults, warnings } = outcome(text);
    expect(faults).toEqual([]);
    expect(places(warnings)).toEqual([place]);
    expect(warnings[0]?.help).toContain(help);
  });

  it.each([
    ['system: { chipset: { type: i440fx } }', '1:28 type-unknown', undefined],
    ['storage: [{ type: scsi-dh, file: /a }]', '1:19 type-unknown', 'did you mean scsi-hd?'],
    ['storage: [{ type: scsi-hd }]', '1:11 key-missing', undefined],
    ['storage: [{ file: /a }]', '1:11 key-missing', undefined],
    ['host: { usb: [{ vm_port: 1.2, host_bus: 1, host_port: 1 }] }', '1:26 value-wrong', undefined],
    ['host: { pci: [{ vm_id: x, host_id: "0000:01:00.0" }] }', '1:24 value-wrong', undefined],
    ['general: []', '1:10 value-wrong', undefined],
    ['system: { memory: { max: lots } }', '1:26 value-wrong', undefined],
    [
      'general:\nnetwork:\n  - { type: bridge, mac: "01:00:00:00:00:01" }',
      '3:26 value-wrong',
      'make the first byte even',
    ],
    [
      'host: { usb: [{ vm_port: 1, host_bus: 1, host_port: 1 }, { vm_port: 1, host_bus: 1, host_port: 2 }] }',
      '1:69 value-wrong',
      'one for each device',
    ],
    [
      'gpu: { type: passthrough, pci: [{ vm_id: 1, host_id: "03:00.0" }] }\nhost: { pci: [{ vm_id: "1.0", host_id: "04:00.0" }] }',
      '2:40 value-wrong',
      'counted together',
    ],
    [
      'system: { bios: { type: seabios, uuid: 04D064C366a14aa79589f8b3ecf91cd7 } }',
      '1:40 value-wrong',
      'write 04D064C3-66a1-4aa7-9589-f8b3ecf91cd7',
    ],
    ['system: { bios: { type: seabios, uuid: nonsense } }', '1:40 value-wrong', 'uuidgen makes one'],
  ])('is what neither knows: %s', (text, place, help) => {
    const { faults } = outcome(text);
    expect(places(faults)).toEqual([place]);
    if (help !== undefined) expect(faults[0]?.help).toContain(help);
  });
});

describe('the program', () => {
  const built = new Built();
  afterAll(() => built.remove());

  it('tells it every time, though the plan is kept, and shows the file as one of its own', () => {
    built.write('old.yaml', 'general: { name: old }\nsystem: { memory: { max: 64, balloon: false } }\n');
    const [first, second] = [1, 2].map(() => built.run(['args', 'old.yaml']));
    expect(first?.exit).toBe(0);
    expect(first?.err).toContain('old.yaml:2:39  note: ezkvm ignored system.memory.balloon');
    expect(second).toMatchObject({ out: first?.out, err: first?.err });
    const shown = built.run(['show', 'old.yaml']);
    built.write('new.yaml', shown.out);
    expect(built.run(['args', 'new.yaml']).out).toBe(first?.out);
    expect(built.run(['explain', 'old.yaml', 'memory.size']).out).toContain('old.yaml:2:26');
  });
});

describe('the recorded cases', () => {
  const tool = join(CHECKOUT, '../shared/tools/compare-ezkvm.mjs');
  const cases = join(CHECKOUT, '../shared/cases/ezkvm-cases.json');
  const here = existsSync(tool) && existsSync(cases);

  it.skipIf(!here)(
    `lose nothing${here ? '' : ' (left out: they are not beside this checkout)'}`,
    () => {
      const ezvm = `${process.execPath} ${join(CHECKOUT, 'bin/ezvm.js')}`;
      const out = execFileSync(process.execPath, [tool, '--cases', cases, '--ezvm', ezvm, '--strict', '--json'], {
        encoding: 'utf8',
      });
      const { passed, failed } = JSON.parse(out) as { passed: number; failed: number };
      expect(failed).toBe(0);
      expect(passed).toBeGreaterThan(0);
    },
    120_000,
  );
});
