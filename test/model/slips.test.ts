import { describe, expect, it } from 'vitest';
import { CATALOG } from '../one-device.ts';
import { specOf } from '../planned.ts';

/** The help with the fault of a VM file that has one. */
function helpFor(text: string): string | undefined {
  const { diagnostics } = specOf(`${text}\n`, CATALOG);
  expect(diagnostics).toHaveLength(1);
  return diagnostics[0]?.help;
}

describe('what people write by mistake', () => {
  it.each([
    ['machine: i440fx', 'write `machine: pc`'],
    ['machine: pc-q35-8.2', 'write `machine: { type: q35, version: "8.2" }`'],
    ['firmware: seabios', 'write `firmware: bios`'],
    ['firmware: { type: ovmf, secure-boot: on }', 'write `firmware: uefi`'],
    ['audio: { backend: pulseaudio }', 'write `backend: pa`'],
    ['audio: usb', 'a USB sound card is `usb: [audio]`'],
    ['network: [e1000]', 'that is a card; write `network: [{ model: e1000 }]`'],
    ['network: [{ type: user, hostfwd: ["2222:22"] }]', 'write `forward`'],
    ['cpu: host', 'write `cpu: { model: host }`'],
    ['cpu: x86-64-v3', 'write `cpu: { type: x86-64-v3 }`'],
    ['vnc: { type: tcp, number: 1, port: 5901 }', '`number` is the port less 5900: `number: 1` is port 5901'],
    ['usb: ["046d:c52b"]', 'write `{ vendorid: 0x046d, productid: 0xc52b }`'],
    ['usb: [{ vendorid: 046d, productid: 0xc52b }]', 'write `vendorid: 0x046d`, without quotes'],
    ['usb: [{ vendorid: 0x046d, productid: "0xc52b" }]', 'write `productid: 0xc52b`, without quotes'],
    ['memory: 0', undefined],
    ['qemu: { args: "-msg timestamp=on" }', 'write "-msg", "timestamp=on" in the list'],
    ['qemu: { args: ["-uuid", x, "-msg timestamp=on"] }', 'write "-msg", "timestamp=on" in the list'],
    ['usb: [1-2.3]', 'write `{ hostbus: 1, hostport: "2.3" }`'],
    ['vmgenid: auto', 'write `vmgenid: {}`'],
    ['display: remote-viewer', 'write `display: spice`'],
    ['template: win11', 'did you mean windows-11?'],
    ['ram: 4G', 'did you mean memory?'],
    ['net: user', 'did you mean network?'],
    ['vga: std', 'did you mean gpu?'],
    ['bios: seabios', 'write `firmware: bios`'],
    ['vga: vmware', 'write `gpu: vmware-svga`'],
    ['audio: pulseaudio', 'the type is the card; write `audio: { backend: pa }`'],
    ['memory: 4096', 'a bare number is bytes: write 4096M'],
    ['disks: [{ file: a.raw, format: RAW }]', 'did you mean raw?'],
    ['iso: debian.iso', 'did you mean disks?'],
    ['os: linux', 'did you mean template?'],
  ])('in %j is told in right words', (vm, help) => {
    expect(helpFor(vm)).toEqual(help);
  });

  it('is nowhere what could be meant', () => {
    for (const { name, slips = {}, also = [] } of CATALOG.sections) {
      const section = CATALOG.section(name);
      const types = section ? CATALOG.types(section) : [];
      for (const pattern of Object.keys(slips))
        expect(types.filter((type) => new RegExp(`^(?:${pattern})$`).test(type))).toEqual([]);
      expect(also.filter((word) => CATALOG.section(word))).toEqual([]);
    }
  });

  it('of a template is another’s name nowhere', () => {
    const names = CATALOG.layers('os');
    const also = names.flatMap((name) =>
      (CATALOG.layer('os', name)?.root.entries ?? []).flatMap(({ key, node }) =>
        key === 'also' && node.kind === 'list' ? node.items.map((item) => item.kind === 'scalar' && item.value) : [],
      ),
    );
    expect(also.length).toBeGreaterThan(20);
    expect(new Set([...names, ...also]).size).toBe(names.length + also.length);
  });
});
