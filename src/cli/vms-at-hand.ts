import { type Diagnostic, EXIT, fault } from '../core/diagnostic.ts';
import type { HostNeeds } from '../formats/setup/needs.ts';
import { type Account, findAccount, findCaller } from '../host/account.ts';
import { type PciFunction, readPci } from '../host/pci.ts';
import { listVmFiles } from '../input/locate.ts';
import type { Plan } from '../plan/plan.ts';
import type { CliContext } from './context.ts';
import { dirsOf } from './dirs.ts';
import { makePlan } from './pipeline.ts';

/** The plans of the VMs that are named, or else of all that are found by name. @throws EzvmError exit 2 where there are none */
export async function planAtHand(refs: readonly string[], context: CliContext): Promise<Plan[]> {
  const named =
    refs.length > 0 ? refs : listVmFiles(context.cwd, dirsOf(context).config).map(({ absolute }) => absolute);
  if (named.length === 0)
    throw fault(EXIT.usage, 'words-wrong', 'there are no VMs here', { help: 'name the files of those it is for' });
  const plans = [];
  for (const ref of named) plans.push((await makePlan(ref, {}, context)).plan);
  return plans;
}

/** Whom this host is set up for: the user of that name, else who called. @throws EzvmError exit 2 where that is root or nobody */
export function findBeneficiary(name: string | undefined, context: CliContext): Account {
  const account =
    name === undefined ? (findCaller(context.env) ?? findAccount(String(process.getuid?.()))) : findAccount(name);
  if (account && account.uid !== 0) return account;
  throw fault(
    EXIT.usage,
    'user-unclear',
    name === undefined ? 'for whom is not known' : `there is no user ${name} but root`,
    {
      help: 'name somebody who is to run VMs: --user NAME',
    },
  );
}

/** Any other would be read as something else in files of root's, such as a path. */
const ADDRESS = /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** The PCI functions of this host that VMs want, and what is told of those that are not there. */
export function findFunctions({ pci }: HostNeeds): { functions: PciFunction[]; missing: Diagnostic[] } {
  const found = pci.map((address) => ({ address, one: ADDRESS.test(address) ? readPci(address) : undefined }));
  return {
    functions: found.flatMap(({ one }) => one ?? []),
    missing: found.flatMap(({ address, one }) => (one ? [] : [noDevice(address)])),
  };
}

function noDevice(address: string): Diagnostic {
  return {
    severity: 'warning',
    code: 'pci-missing',
    message: `there is no PCI device ${address} here, so it is left out`,
    help: 'see the addresses with: lspci -D',
  };
}
