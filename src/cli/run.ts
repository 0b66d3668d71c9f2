import { parseArgs } from 'node:util';
import { EXIT, EzvmError, fault } from '../core/diagnostic.ts';
import { nearest } from '../core/nearest.ts';
import { isFileRef } from '../input/locate.ts';
import type { CliContext } from './context.ts';
import { START, VERBS, type Verbs } from './registry.ts';
import { refuseRootsFlags } from './roots-flags.ts';
import type { Flags, Verb } from './verb.ts';

/**
 * Runs the verb that `argv` names and gives its exit code.
 * @param argv after the program's name
 */
export async function run(argv: readonly string[], context: CliContext): Promise<number> {
  const [first, ...rest] = argv;
  if (first === undefined || first === 'help' || first === '--help' || first === '-h') {
    const asked = rest[0];
    if (asked !== undefined && Object.hasOwn(VERBS, asked)) return run([...rest, '--help'], context);
    const { generalHelp } = await import('./help.ts');
    (first === undefined ? context.err : context.out)(generalHelp());
    return first === undefined ? EXIT.usage : EXIT.ok;
  }
  if (first === '--version' || first === '-V') return run(['version', ...rest], context);
  const named = Object.hasOwn(VERBS, first) ? VERBS[first] : undefined;
  if (!named && !first.startsWith('-') && !isFileRef(first) && rest.length > 0 && !rest[0]?.startsWith('-'))
    throw unknownVerb(first);
  const entry = named ?? START;
  if ('verbs' in entry) return runOneOf(first, entry.verbs, rest, context);
  const { verb } = await entry.load();
  try {
    return await runVerb(verb, named ? rest : argv, context);
  } catch (error) {
    const near = named ? undefined : nearest(first, Object.keys(VERBS));
    const only = error instanceof EzvmError ? error.diagnostics[0] : undefined;
    // A single word may be a VM or a verb with a slip in it.
    if (near === undefined || only?.code !== 'file-missing') throw error;
    throw new EzvmError([{ ...only, help: `${only.help}; or did you mean the verb ${near}?` }], EXIT.config);
  }
}

/** A word before several verbs, as in `ezvm setup undo`. */
async function runOneOf(word: string, verbs: Verbs, argv: readonly string[], context: CliContext): Promise<number> {
  const [name = '', ...rest] = argv;
  const entry = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (entry && 'load' in entry) return runVerb((await entry.load()).verb, rest, context);
  const { wordHelp } = await import('./help.ts');
  const asked = name === '--help' || name === '-h';
  if (name !== '' && !asked)
    throw unknownVerb(
      `${word} ${name}`,
      Object.keys(verbs).map((each) => `${word} ${each}`),
    );
  (asked ? context.out : context.err)(wordHelp(word, verbs));
  return asked ? EXIT.ok : EXIT.usage;
}

async function runVerb(verb: Verb, argv: readonly string[], context: CliContext): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    const { verbHelp } = await import('./help.ts');
    context.out(verbHelp(verb));
    return EXIT.ok;
  }
  const { words, flags } = readArgv(verb, argv);
  const [least, most] = verb.words;
  if (words.length < least || words.length > most)
    throw fault(
      EXIT.usage,
      'words-wrong',
      words.length < least
        ? `something is missing: ezvm ${verb.usage}`
        : `${JSON.stringify(words[most])} is one word too many: ezvm ${verb.usage}`,
      { help: `as in: ${verb.example}` },
    );
  if (verb.forOwner) {
    const exit = await runForOwner(verb, argv, { words, flags }, context);
    if (exit !== undefined) return exit;
  }
  return verb.run(words, flags, context);
}

/** A verb about VMs that run, which root leaves to the person whose they are; undefined where it is to be run here. */
async function runForOwner(
  verb: Verb,
  argv: readonly string[],
  { words: [ref], flags }: { words: readonly string[]; flags: Flags },
  context: CliContext,
): Promise<number | undefined> {
  if (process.geteuid?.() !== 0) {
    refuseRootsFlags(flags);
    return undefined;
  }
  const { runAsOwner } = await import('./hand-over.ts');
  const name = /^[a-z-]+/.exec(verb.usage)?.[0] ?? '';
  // The other one is not root any more.
  const others = verb.raw ? argv : argv.filter((word, at) => !/^--user(=|$)/.test(word) && argv[at - 1] !== '--user');
  return runAsOwner([name, ...others], { ref, asked: flags['user'] }, context);
}

function readArgv(verb: Verb, argv: readonly string[]): { words: readonly string[]; flags: Flags } {
  if (verb.raw) return { words: argv, flags: {} };
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: verb.flags,
      allowPositionals: true,
      strict: true,
    });
    return { words: positionals, flags: values as Flags };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw badFlag(verb, error);
  }
}

function badFlag(verb: Verb, error: TypeError): Error {
  const name = /^[a-z-]+( [a-z-]+)*/.exec(verb.usage)?.[0];
  // Node tells the flag in its message only.
  const [, wrong = ''] = /'(?:-\w, )?(--?[^'\s=]+)/.exec(error.message) ?? [];
  const spec = Object.hasOwn(verb.flags, wrong.slice(2)) ? verb.flags[wrong.slice(2)] : undefined;
  if (spec)
    return fault(EXIT.usage, 'flag-wrong', `${wrong} takes ${spec.type === 'string' ? 'a' : 'no'} value`, {
      help: spec.value === undefined ? `see: ezvm ${name} --help` : `as in ${wrong}=${spec.value}`,
    });
  const known = Object.keys(verb.flags).map((each) => `--${each}`);
  const near = nearest(wrong, known);
  return fault(EXIT.usage, 'flag-unknown', `ezvm ${name} has no flag ${wrong}`, {
    help: near ? `did you mean ${near}?` : `it has ${[...known, '--help'].join(', ')}`,
  });
}

function unknownVerb(word: string, among?: readonly string[]): Error {
  const near = nearest(word, among ?? Object.keys(VERBS));
  return fault(EXIT.usage, 'verb-unknown', `there is no verb ${JSON.stringify(word)}`, {
    help: near ? `did you mean ${near}?` : among ? `there are: ${among.join(', ')}` : 'see: ezvm --help',
  });
}
