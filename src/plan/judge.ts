import type { Diagnostic } from '../core/diagnostic.ts';
import type { HostFacts } from '../host/facts.ts';
import type { Requirement, RequirementOf } from './plan.ts';

/** What requirements the host of `facts` is known not to meet; paths it was not asked about are given the benefit of doubt. */
export function judgeRequirements(requirements: readonly Requirement[], facts: HostFacts): Diagnostic[] {
  return requirements.flatMap((requirement) => judge(requirement, facts));
}

function judge(requirement: Requirement, facts: HostFacts): Diagnostic[] {
  const { origin } = requirement;
  switch (requirement.kind) {
    case 'unmet':
      return [
        { severity: 'error', code: requirement.code, message: requirement.message, help: requirement.help, origin },
      ];
    case 'program':
      return requirement.path === undefined
        ? [
            {
              severity: requirement.optional ? 'warning' : 'error',
              code: 'program-missing',
              message: `${requirement.program} is not installed${requirement.optional ? '; the VM starts without it' : ''}`,
              help: requirement.help,
              origin,
            },
          ]
        : [];
    case 'path':
      return facts.paths[requirement.path]?.kind === 'missing' && !requirement.made
        ? [
            {
              severity: 'error',
              code: 'path-missing',
              message: `${requirement.path} does not exist`,
              help: requirement.help,
              origin,
            },
          ]
        : [];
    case 'kvmfr':
      return facts.paths[requirement.path]?.kind === 'missing'
        ? [
            {
              severity: 'error',
              code: 'path-missing',
              message: `${requirement.path} does not exist: the module kvmfr is not loaded`,
              help: requirement.instead,
              origin,
            },
          ]
        : [];
    case 'huge-pages':
    case 'enrolled-keys':
    case 'tpm-version':
      return [];
    case 'memory':
      return requirement.bytes > facts.memory
        ? [{ severity: 'warning', code: 'memory-short', message: 'the VM has more memory than the host', origin }]
        : [];
    case 'session':
      return lacksSession(requirement.wants, facts)
        ? [
            {
              severity: requirement.optional ? 'warning' : 'error',
              code: 'session-missing',
              message: `${requirement.by} needs ${requirement.wants === 'bus' ? 'a session bus' : 'a graphical session'}, and there is none`,
              help: requirement.help ?? 'start it from a terminal on your desktop',
              origin,
            },
          ]
        : [];
    case 'port':
    // What the kernel shows of devices is looked at when a VM is started.
    case 'vfio':
    case 'vfio-choice':
    case 'locked-memory':
      return [];
  }
}

/** Whether a session answers is seen by asking it, when a VM is started. */
function lacksSession(wants: RequirementOf<'session'>['wants'], { session }: HostFacts): boolean {
  if (wants === 'bus') return session['DBUS_SESSION_BUS_ADDRESS'] === undefined;
  return wants === 'screen' && session['DISPLAY'] === undefined && session['WAYLAND_DISPLAY'] === undefined;
}
