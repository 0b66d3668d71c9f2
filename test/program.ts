import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TemplateSource } from '../src/catalog/template.ts';
import type { CliContext } from '../src/cli/context.ts';
import { printDiagnostics } from '../src/cli/print/diagnostics.ts';
import { run } from '../src/cli/run.ts';
import { EzvmError } from '../src/core/diagnostic.ts';
import { CHECKOUT, folderTemplates } from './checkout.ts';

/** What one run of the program gave. */
export interface Outcome {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/**
 * The program in this process, with the templates as they lie in the folder, for a user who has no settings. What it
 * leaves out is `main`, which hands the process's own arguments and streams to the same `run`.
 */
export class Program {
  /** Where relative words of the command line are taken from. */
  readonly dir: string;
  /** An account without settings or caches. */
  readonly env: Readonly<Record<string, string | undefined>>;

  constructor() {
    this.dir = mkdtempSync(join(tmpdir(), 'ezvm-program-'));
    writeFileSync(join(this.dir, 'templates.json'), packTemplates(folderTemplates()));
    const at = (name: string): string => join(this.dir, 'home', name);
    this.env = {
      ...process.env,
      HOME: at('.'),
      XDG_CACHE_HOME: at('cache'),
      XDG_CONFIG_HOME: at('config'),
      XDG_RUNTIME_DIR: at('run'),
      XDG_STATE_HOME: at('state'),
    };
  }

  async run(...argv: readonly string[]): Promise<Outcome> {
    let out = '';
    let err = '';
    const source = (file: string): string | undefined => {
      try {
        return readFileSync(file.startsWith('templates/') ? join(CHECKOUT, file) : resolve(this.dir, file), 'utf8');
      } catch {
        return undefined;
      }
    };
    const context: CliContext = {
      root: CHECKOUT,
      dist: this.dir,
      version: '0',
      build: 'test',
      cwd: this.dir,
      env: this.env,
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      colour: false,
      interactive: false,
      report: (diagnostics) => {
        err += printDiagnostics(diagnostics, { colour: false, source });
      },
    };
    try {
      return { exit: await run(argv, context), out, err };
    } catch (error) {
      if (!(error instanceof EzvmError)) throw error;
      context.report(error.diagnostics);
      return { exit: error.exit, out, err };
    }
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** As the build packs them, less the device templates made beforehand, which the catalog does without. */
function packTemplates(source: TemplateSource): string {
  const index: Record<string, readonly [number, number]> = {};
  let body = '';
  const paths = [
    'sections.yaml',
    'defaults.yaml',
    ...source.folders().flatMap((folder) => source.list(folder).map((name) => `${folder}/${name}.yaml`)),
  ];
  for (const path of paths) {
    const text = JSON.stringify(source.read(path)).replace(
      /[^ -~]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    index[path] = [body.length, body.length + text.length];
    body += text;
  }
  return `${JSON.stringify(index)}\n${body}`;
}
