import { EXIT, type EzvmError, fault } from '../core/diagnostic.ts';
import { QmpError } from '../qemu/qmp.ts';
import { type Answered, factsFromAnswers, schemaFromAnswers } from './answers.ts';
import type { AcceleratorFacts, QemuFacts, QemuSchema } from './facts.ts';
import { readHelp, startPaused } from './paused-qemu.ts';

/** Machine types whose properties can be listed safely; QEMU 7.2 aborts when asked for those of microvm. */
const MACHINES = ['q35', 'pc', 'virt'];

/** A QEMU that dies of more questions than this is not worth asking. */
const MOST_DEATHS = 8;

type Question = Pick<Answered, 'execute' | 'arguments'>;

/** Asks the QEMU at `binary` what it has. Throws EzvmError (exit 3) when it cannot be run or does not answer. */
export async function probeQemu(binary: string): Promise<QemuFacts> {
  const helping = new AbortController();
  const [answers, ...help] = await Promise.all([
    ask(binary, [
      { execute: 'query-version' },
      { execute: 'query-target' },
      // This makes QEMU load its modules; only then the list of options has those that live in one, such as -spice.
      { execute: 'qom-list-types', arguments: { implements: 'device', abstract: false } },
      { execute: 'qom-list-types', arguments: { implements: 'user-creatable', abstract: false } },
      { execute: 'query-machines' },
      { execute: 'query-cpu-definitions' },
      { execute: 'query-tpm-types' },
      { execute: 'query-command-line-options' },
    ]),
    ...['display', 'netdev', 'audiodev'].map(async (option) => ({
      execute: `-${option} help`,
      answer: await readHelp(binary, [`-${option}`, 'help'], helping.signal),
    })),
  ]).finally(() => helping.abort());
  const facts = factsFromAnswers([...answers, ...help], binary);
  if (!facts) throw cannotAsk(binary, 'it does not tell its version');
  return facts;
}

/** Asks the QEMU that `qemu` describes for its syntax. Throws EzvmError (exit 3) when it does not answer. */
export async function probeSchema(qemu: QemuFacts): Promise<QemuSchema> {
  const machines = MACHINES.flatMap((name) => qemu.machines[name] ?? []);
  const answers = await ask(qemu.binary, [
    { execute: 'query-version' },
    { execute: 'qom-list-types', arguments: { implements: 'device', abstract: false } },
    { execute: 'query-command-line-options' },
    { execute: 'query-qmp-schema' },
    ...[...qemu.devices, `max-${qemu.arch}-cpu`].map((typename) => ({
      execute: 'device-list-properties',
      arguments: { typename },
    })),
    ...machines.map((name) => ({ execute: 'qom-list-properties', arguments: { typename: `${name}-machine` } })),
  ]);
  const schema = schemaFromAnswers(answers);
  if (!schema) throw cannotAsk(qemu.binary, 'it does not tell its version');
  return schema;
}

/** Reasons that can be gone the next minute, without a trace in what the cache is keyed by. */
const PASSING = /busy|cannot allocate memory|out of memory|did not answer/i;

/** Machine types with room for a virtual CPU, by target. */
const KVM_MACHINE: Readonly<Record<string, string>> = { x86_64: 'q35', aarch64: 'virt' };

/**
 * Whether KVM works: a virtual CPU is really made and initialised, and never run. `lasting` tells whether asking again
 * on the same host would be answered alike. Needs a /dev/kvm that can be opened.
 */
export async function probeKvm(binary: string, arch: string): Promise<{ facts: AcceleratorFacts; lasting: boolean }> {
  const machine = KVM_MACHINE[arch];
  if (machine === undefined)
    return { facts: { usable: false, reason: `ezvm does not know KVM on ${arch}` }, lasting: true };
  let reason: string;
  try {
    const qemu = await startPaused(binary, ['-machine', machine, '-accel', 'kvm', '-cpu', 'host', '-m', '32']);
    try {
      await qemu.qmp.execute('query-status', undefined, 20_000);
      return { facts: { usable: true }, lasting: true };
    } catch (error) {
      reason = await qemu.explain(error as Error);
    } finally {
      await qemu.stop();
    }
  } catch (error) {
    reason = (error as Error).message;
  }
  const help = /busy/i.test(reason)
    ? 'another hypervisor, such as VirtualBox, may hold it; stop its VMs'
    : 'see what the kernel says: sudo dmesg | grep -i kvm; on a machine that is itself a VM, nested virtualization must be on';
  return {
    facts: { usable: false, reason: `QEMU can make no virtual CPU with it: ${reason}`, help },
    lasting: !PASSING.test(reason),
  };
}

/**
 * The answers to `questions`, without those that were refused. A question that QEMU dies of is left out, and a new QEMU
 * goes on with the next: some versions abort when asked for the properties of a device that misses a module.
 */
async function ask(binary: string, questions: readonly Question[]): Promise<Answered[]> {
  const answers: Answered[] = [];
  let next = 0;
  for (let deaths = 0; next < questions.length; deaths++) {
    const qemu = await startPaused(binary, ['-machine', 'none']).catch((error: Error) => {
      throw cannotAsk(binary, error.message);
    });
    try {
      for (; next < questions.length; next++) {
        const question = questions[next] as Question;
        const answer = await qemu.qmp.execute(question.execute, question.arguments, 20_000).catch(refused);
        if (answer !== undefined) answers.push({ ...question, answer });
      }
    } catch (error) {
      // One that dies of the first question will not do better with the next.
      if (next === 0 || deaths === MOST_DEATHS) throw cannotAsk(binary, await qemu.explain(error as Error));
      next++;
    } finally {
      await qemu.stop();
    }
  }
  return answers;
}

function refused(error: unknown): undefined {
  if (error instanceof QmpError) return undefined;
  throw error;
}

function cannotAsk(binary: string, reason: string): EzvmError {
  return fault(EXIT.host, 'qemu-unusable', `${binary} cannot be asked what it can do: ${reason}`, {
    help: `try "${binary} --version"; if that fails too, reinstall QEMU`,
  });
}
