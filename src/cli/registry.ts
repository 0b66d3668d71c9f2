import type { Verb } from './verb.ts';

/** A verb, or a word before several verbs; a verb's code is loaded when it is called. */
export type Entry =
  | { readonly summary: string; readonly load: () => Promise<{ readonly verb: Verb }> }
  | { readonly summary: string; readonly verbs: Verbs };

/** By name, in the order of their help. */
export type Verbs = { readonly [name: string]: Entry };

/** What a file or a name without a verb asks for. */
export const START = {
  summary: 'start a VM (the verb may be left out)',
  load: () => import('./verbs/start.ts'),
} as const satisfies Entry;

/** Every verb, in the order of `ezvm --help`. */
export const VERBS: Verbs = {
  start: START,
  stop: { summary: 'shut a VM down', load: () => import('./verbs/stop.ts') },
  status: { summary: 'tell how VMs are', load: () => import('./verbs/status.ts') },
  list: {
    summary: 'list the VMs that can be started by name, and those that run',
    load: () => import('./verbs/list.ts'),
  },
  view: { summary: 'open the viewer of a VM that runs', load: () => import('./verbs/view.ts') },
  'restart-sidecar': {
    summary: 'start a program beside a VM once more',
    load: () => import('./verbs/restart-sidecar.ts'),
  },
  monitor: { summary: "talk to a VM's monitor", load: () => import('./verbs/monitor.ts') },
  qmp: { summary: 'send a VM one QMP command', load: () => import('./verbs/qmp.ts') },
  check: {
    summary: 'look for faults in a VM file and for what the host lacks',
    load: () => import('./verbs/check.ts'),
  },
  args: { summary: "print QEMU's command line", load: () => import('./verbs/args.ts') },
  show: { summary: 'print a VM with all its defaults', load: () => import('./verbs/show.ts') },
  explain: { summary: 'tell where each value comes from', load: () => import('./verbs/explain.ts') },
  plan: { summary: 'tell everything a start would do', load: () => import('./verbs/plan.ts') },
  reference: { summary: 'print what a section of a VM file may say', load: () => import('./verbs/reference.ts') },
  setup: {
    summary: 'prepare this host for what VMs cannot do by themselves',
    verbs: {
      group: {
        summary: 'print what gives a group the devices, or install it',
        load: () => import('./verbs/setup-group.ts'),
      },
      helper: {
        summary: 'print a policy for the setuid helper, and how to install both',
        load: () => import('./verbs/setup-helper.ts'),
      },
      tls: { summary: 'make certificates for screens on the network', load: () => import('./verbs/setup-tls.ts') },
      undo: { summary: 'put back all that setup has changed', load: () => import('./verbs/setup-undo.ts') },
    },
  },
  facts: { summary: 'print what is known about this host', load: () => import('./verbs/facts.ts') },
  version: { summary: 'print the versions of ezvm and QEMU', load: () => import('./verbs/version.ts') },
};
