import { EXIT, type EzvmError, fault } from '../core/diagnostic.ts';
import { QmpError } from '../qemu/qmp.ts';
import { type Answered, factsFromAnswers, schemaFromAnswers } from './answers.ts';
import type { QemuFacts, QemuSchema } from './facts.ts';
import { readHelp, startPaused } from './paused-qemu.ts';

/** Machine types whose properties can be listed safely; QEMU 7.2 aborts when asked for those of microvm. */
const MACHINES = ['q35', 'pc', 'virt'];

/** A QEMU that dies of more questions than this is not worth asking. */
const MOST_DEATHS = 8;

type Question = Pick<Answered, 'execute' | 'arguments'>;

/** Asks the QEMU at `binary` what it has. Throws EzvmError (exit 3) when it cannot be run or does not answer. */
export async function probeQemu(binary: string): Promise<QemuFacts> {
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
      answer: await readHelp(binary, [`-${option}`, 'help']),
    })),
  ]);
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
      if (deaths === MOST_DEATHS) throw cannotAsk(binary, `${(error as Error).message}: ${await qemu.complaint()}`);
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
