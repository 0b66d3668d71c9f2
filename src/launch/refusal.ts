import { describeExit, type Exit } from '../admin/exit.ts';
import { lastLines } from '../admin/log.ts';
import { type Diagnostic, EXIT, EzvmError } from '../core/diagnostic.ts';
import type { Origin } from '../core/origin.ts';
import type { Plan } from '../plan/plan.ts';
import type { QemuOption } from '../qemu/option.ts';
import type { Child } from './child.ts';
import { findHelperRefusals } from './helper.ts';
import { findTooSmall } from './kvmfr.ts';

/** The error for a QEMU that ended while it started: in QEMU's words, at the place in the VM file that asked for it. */
export function refusal(plan: Plan, child: Child, exit: Exit): EzvmError {
  const program = plan.qemu.argv[0]?.split('/').at(-1) ?? '';
  const lines = lastLines(child.log).map((line) =>
    line.startsWith(`${program}: `) ? line.slice(program.length + 2) : line,
  );
  const refused = plan.qemu.helper ? findHelperRefusals(plan.qemu.helper, lines) : [];
  if (refused.length > 0) return new EzvmError(refused, EXIT.host);
  const said = lines.join('\n');
  const diagnostic: Diagnostic = {
    severity: 'error',
    code: 'qemu-refused',
    message: `QEMU refused to start: ${said || `it ${describeExit(exit)} without saying why`}`,
    origin: lines.map((line) => findOrigin(plan, line)).find((origin) => origin !== undefined),
    help: `all it said is in ${child.log.path}`,
  };
  return new EzvmError([{ ...diagnostic, ...findTooSmall(plan, lines) }], EXIT.host);
}

/** The place that asked for the option a line of QEMU's complains about: it quotes the option, or names its id. */
export function findOrigin(plan: Plan, line: string): Origin | undefined {
  const quoted = placed(plan).find(({ text }) => line.startsWith(`${text}:`));
  if (quoted) return quoted.option.origin;
  const names = new Set([...line.matchAll(/'([^']+)'/g)].map((match) => match[1]));
  return plan.qemu.options.find((option) => option.origin && names.has(idOf(option)))?.origin;
}

/** Each option beside its text in argv. The options stand first and in order there, so the words need no parsing. */
function placed(plan: Plan): { option: QemuOption; text: string }[] {
  const found: { option: QemuOption; text: string }[] = [];
  let at = 1;
  for (const option of plan.qemu.options) {
    const words = option.args === true ? 1 : 2;
    const text = plan.qemu.argv.slice(at, at + words).join(' ');
    if (plan.qemu.argv[at] !== `-${option.name}`) break;
    found.push({ option, text });
    at += words;
  }
  return found;
}

function idOf(option: QemuOption): string | undefined {
  if (typeof option.args !== 'object') return undefined;
  const id = option.args['id'] ?? option.args['node-name'];
  return typeof id === 'string' ? id : undefined;
}
