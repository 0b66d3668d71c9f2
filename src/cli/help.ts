import { VERBS, type Verbs } from './registry.ts';
import type { FlagSpec, Verb } from './verb.ts';

/** What `ezvm --help` prints. */
export function generalHelp(): string {
  return `Starts QEMU virtual machines from a few lines of YAML.

Usage: ezvm FILE|NAME            start a VM
       ezvm VERB [--help] …

Verbs:
${listVerbs(VERBS)}

Example: echo "template: linux" > my-vm.yaml && ezvm check my-vm.yaml

Exit codes: 0 ok · 1 faults in the configuration · 2 wrong use · 3 the host is not ready · 4 wrong state · 70 a bug
`;
}

/** What `ezvm WORD --help` prints for a word before several verbs. */
export function wordHelp(word: string, verbs: Verbs): string {
  return `Usage: ezvm ${word} VERB [--help] …\n\nVerbs:\n${listVerbs(verbs)}\n`;
}

function listVerbs(verbs: Verbs): string {
  const width = Math.max(...Object.keys(verbs).map((name) => name.length));
  return Object.entries(verbs)
    .map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
    .join('\n');
}

/** What `ezvm VERB --help` prints. */
export function verbHelp(verb: Verb): string {
  const flags = Object.entries<FlagSpec>({ ...verb.flags, help: { type: 'boolean', help: 'print this', short: 'h' } });
  const names = flags.map(
    ([name, { value, short }]) => `${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}`,
  );
  const width = Math.max(...names.map((name) => name.length));
  return `${verb.summary}

Usage: ezvm ${verb.usage} [FLAGS]

Flags:
${flags.map(([, { help }], index) => `  ${(names[index] ?? '').padEnd(width)}  ${help}`).join('\n')}

Example: ${verb.example}
`;
}
