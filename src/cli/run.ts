import { parseArgs } from 'node:util';
import { EXIT, fault } from '../core/diagnostic.ts';
import { nearest } from '../core/nearest.ts';
import { isFileRef } from '../input/locate.ts';
import type { CliContext } from './context.ts';
import { VERBS } from './registry.ts';
import type { Flags, Verb } from './verb.ts';

/**
 * Runs the verb that `argv` names and gives its exit code.
 * @param argv after the program's name
 */
export async function run(argv: readonly string[], context: CliContext): Promise<number> {
  const [first, ...rest] = argv;
  if (first === undefined || first === 'help' || first === '--help' || first === '-h') {
    const { generalHelp } = await import('./help.ts');
    (first === undefined ? context.err : context.out)(generalHelp());
    return first === undefined ? EXIT.usage : EXIT.ok;
  }
  if (first === '--version' || first === '-V') return run(['version', ...rest], context);
  const named = Object.hasOwn(VERBS, first) ? VERBS[first] : undefined;
  if (!named && !isFileRef(first) && rest.length > 0 && !rest[0]?.startsWith('-')) throw unknownVerb(first);
  const { verb } = await (named ?? VERBS['start'] ?? unknown(first)).load();
  return runVerb(verb, named ? rest : argv, context);
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
  return verb.run(words, flags, context);
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
    throw badFlag(verb, argv, error);
  }
}

function badFlag(verb: Verb, argv: readonly string[], error: TypeError): Error {
  const wrong = argv.find(
    (word) => /^--?[A-Za-z]/.test(word) && !Object.hasOwn(verb.flags, word.replace(/^-+/, '').replace(/=.*/s, '')),
  );
  const known = Object.keys(verb.flags).map((name) => `--${name}`);
  if (wrong === undefined || !('code' in error) || error.code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION')
    return fault(EXIT.usage, 'flag-wrong', error.message.split('\n')[0] ?? '', {
      help: `see: ezvm ${verb.usage.split(' ')[0]} --help`,
    });
  const near = nearest(wrong, known);
  return fault(EXIT.usage, 'flag-unknown', `ezvm ${verb.usage.split(' ')[0]} has no flag ${wrong}`, {
    help: near ? `did you mean ${near}?` : `it has ${known.join(', ') || 'no flags'}`,
  });
}

function unknownVerb(word: string): Error {
  const near = nearest(word, Object.keys(VERBS));
  return fault(EXIT.usage, 'verb-unknown', `there is no verb ${JSON.stringify(word)}`, {
    help: near ? `did you mean ${near}?` : 'see: ezvm --help',
  });
}

function unknown(word: string): never {
  throw new Error(`the registry has no verb for ${word}`);
}
