import type { SidecarStatus } from '../../admin/crash.ts';
import { statusOf, statusOfAll, type VmStatus } from '../../admin/status.ts';
import { EXIT } from '../../core/diagnostic.ts';
import { dirsOf } from '../dirs.ts';
import { printable } from '../print/diagnostics.ts';
import { OWNER_FLAG } from '../roots-flags.ts';
import { resolveVm, runRoot } from '../running.ts';
import { JSON_FLAG, type Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'status [NAME|FILE]',
  summary: 'Tells how a VM and its sidecars are, or how all VMs are; exits 4 when the one asked for is not up.',
  example: 'ezvm status windows-11',
  flags: { ...JSON_FLAG, ...OWNER_FLAG },
  forOwner: true,
  words: [0, 1],
  async run([ref], flags, context) {
    if (ref === undefined) {
      const all = await statusOfAll(runRoot(context), dirsOf(context).state);
      context.out(
        flags['json']
          ? `${JSON.stringify(all, undefined, 2)}\n`
          : all.map(printStatus).join('') || 'no VM is running\n',
      );
      return EXIT.ok;
    }
    const { name, runDir } = await resolveVm(ref, context);
    const status = await statusOf(name, runDir, `${dirsOf(context).state}/${name}`);
    context.out(flags['json'] ? `${JSON.stringify(status, undefined, 2)}\n` : printStatus(status));
    return ['running', 'paused', 'starting', 'stopping'].includes(status.condition) ? EXIT.ok : EXIT.state;
  },
};

function printStatus(status: VmStatus): string {
  const facts = [
    status.pid !== undefined && `pid ${status.pid}`,
    status.uptime !== undefined && `up ${printDuration(status.uptime)}`,
  ].filter(Boolean);
  const reason = status.reason === undefined ? '' : `: ${status.reason}`;
  const lines = [`${status.name}  ${status.condition}${reason}${facts.length > 0 ? ` (${facts.join(', ')})` : ''}`];
  if (status.file !== undefined) lines.push(`  file     ${status.file}`);
  if (status.sockets) lines.push(`  monitor  ${status.sockets.monitor}`, `  qmp      ${status.sockets.qmp}`);
  for (const { part, why } of status.relaxed ?? [])
    lines.push(`  sandbox  ${part === 'all' ? 'off' : `allows ${part}`}: ${why}`);
  for (const text of status.guest ?? []) lines.push(`  guest    ${text}`);
  const isUp = status.pid !== undefined;
  for (const sidecar of status.sidecars)
    lines.push(
      `  sidecar  ${sidecar.name}: ${describeSidecar({ ...sidecar, needed: sidecar.needed && isUp })}`,
      ...(sidecar.said ?? []).map((line) => `             ${line}`),
      ...(isWell(sidecar) || !isUp ? [] : [`    help   ${howToMend(sidecar, status.name)}`]),
    );
  lines.push(...(status.said ?? []).map((line) => `  qemu said: ${line}`));
  return `${lines.map(printable).join('\n')}\n`;
}

function isWell({ alive, stopped, connected }: SidecarStatus): boolean {
  return alive && !stopped && connected !== false;
}

function howToMend({ name, pid, alive, stopped, needed, restartable }: SidecarStatus, vm: string): string {
  const anew = `ezvm restart-sidecar ${vm} ${name}`;
  if (stopped) return `let it go on: kill -CONT ${pid}${restartable ? `, or end it for another: ${anew}` : ''}`;
  if (!restartable) return `shut the guest down and start it again: ezvm stop ${vm} && ezvm ${vm}`;
  return needed || alive ? anew : `ezvm view ${vm}`;
}

function describeSidecar({ alive, connected, stopped, pid, needed, reason, ended, heard }: SidecarStatus): string {
  if (stopped) return `stopped (pid ${pid})${needed ? ', and QEMU needs it' : ''}`;
  if (alive) return `alive (pid ${pid})${connected === false ? ', but not connected' : ''}`;
  const last = heard === undefined ? '' : `, and it last spoke at ${printTime(heard)}`;
  const end = reason ?? `has ended; nobody was there to see how${last}`;
  const when = ended === undefined ? '' : ` at ${printTime(ended)}`;
  return `${needed ? 'DEAD, and QEMU needs it: ' : ''}${end}${when}`;
}

function printTime(iso: string): string {
  return new Date(iso).toLocaleTimeString();
}

/** `42 s`, `3 min`, `2 h 5 min` */
function printDuration(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
