/** What is known of a key that is no device's. */
export interface KeySpec {
  readonly summary: string;
  /** A line or more of YAML. */
  readonly example: string;
  /** Only OS templates and profiles have it. */
  readonly templatesOnly?: true;
  /** What people call it elsewhere. */
  readonly also?: readonly string[];
}

/** The keys beside the sections; those with a dot stand in the group before it. */
export const KEYS: { readonly [key: string]: KeySpec } = {
  template: {
    summary: 'The OS template that the machine builds on, or `none`',
    example: 'template: windows-11',
    also: ['os', 'guest_os', 'ostype'],
  },
  profiles: { summary: 'Mix-ins laid over the template, in order', example: 'profiles: [gaming]' },
  name: { summary: "The VM's name; the file's own without one", example: 'name: office' },
  uuid: {
    summary: "The VM's identity; made from the name without one",
    example: 'uuid: 04d064c3-66a1-4aa7-9589-f8b3ecf91cd7',
  },
  description: { summary: 'A line for people', example: 'description: For the office' },
  vars: { summary: 'Names for `${vars.name}`', example: 'vars: { seat: 2 }' },
  defaults: {
    summary: 'Values for every item of a section, and under a type for those of it',
    example: 'defaults: { disks: { cache: none, cdrom: { bus: usb } } }',
  },
  'run.stop-timeout': {
    summary: 'Seconds that an orderly shutdown may take before `ezvm stop` gives up; 90 without one',
    example: 'run: { stop-timeout: 300 }',
  },
  'qemu.set': {
    summary: 'Patches options that ezvm emits, by option and id; null removes a property',
    example: 'qemu: { set: { "device:net0-device": { mq: on } } }',
  },
  'qemu.args': { summary: 'Arguments appended as they are', example: 'qemu: { args: ["-msg", "timestamp=on"] }' },
  base: { summary: 'What a template builds on', example: 'base: windows', templatesOnly: true },
  summary: { summary: 'A line about the template', example: 'summary: Windows 11', templatesOnly: true },
  also: {
    summary: 'What people call the template elsewhere, told to whoever writes it',
    example: 'also: [win11]',
    templatesOnly: true,
  },
  'minimum.memory': {
    summary: 'Memory below which ezvm warns',
    example: 'minimum: { memory: 4G }',
    templatesOnly: true,
  },
  'minimum.cores': {
    summary: 'Processors below which ezvm warns',
    example: 'minimum: { cores: 2 }',
    templatesOnly: true,
  },
};

/** The first words of the keys: what may stand at the top of a file. */
export function topKeys(inTemplates: boolean): string[] {
  const keys = Object.entries(KEYS).filter(([, { templatesOnly }]) => inTemplates || !templatesOnly);
  return [...new Set(keys.map(([key]) => key.split('.')[0] ?? key))];
}

/** The keys of a group, such as `stop-timeout` of `run`. */
export function keysOf(group: string): string[] {
  return Object.keys(KEYS).flatMap((key) => (key.startsWith(`${group}.`) ? [key.slice(group.length + 1)] : []));
}

/** The keys of settings files. */
export const SETTINGS: { readonly [key: string]: KeySpec } = {
  vm: { summary: 'A layer for every VM, below templates', example: 'vm: { display: { full-screen: on } }' },
  qemu: { summary: 'The QEMU to start', example: 'qemu: /opt/qemu/bin/qemu-system-x86_64' },
  programs: {
    summary: 'Where programs are that are not on the search path, by their names',
    example: 'programs: { looking-glass-client: /opt/looking-glass/looking-glass-client }',
  },
  'firmware-dirs': {
    summary: 'Where firmware descriptors are looked for, instead of where QEMU and the system keep them',
    example: 'firmware-dirs: [/opt/qemu/share/qemu/firmware]',
  },
};
