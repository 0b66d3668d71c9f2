import { readFileSync, statSync } from 'node:fs';
import type { BridgeHelperFacts } from './facts.ts';

/** Where the helper looks, which was settled when it was compiled. */
const RULES = '/etc/qemu/bridge.conf';
const SETUID = 0o4000;

/**
 * What QEMU's bridge helper at `path` may do for this user; never throws.
 * @param getcap the program that shows a file's capabilities, which some distributions give it in place of setuid
 */
export async function probeBridgeHelper(path: string, getcap: string | undefined): Promise<BridgeHelperFacts> {
  const found = statSync(path, { throwIfNoEntry: false });
  const isRoot = process.geteuid?.() === 0;
  const isSetuid = found !== undefined && found.uid === 0 && (found.mode & SETUID) !== 0;
  return {
    path,
    privileged: isRoot || isSetuid || (getcap !== undefined && (await hasCapability(getcap, path))),
    ...readBridgeRules(RULES),
  };
}

async function hasCapability(getcap: string, path: string): Promise<boolean> {
  const { execFile } = await import('node:child_process');
  return new Promise((resolve) =>
    execFile(getcap, [path], { timeout: 5000 }, (_, stdout) => resolve(stdout.includes('cap_net_admin'))),
  );
}

/** The helper's list of bridges, read as it reads it (qemu-bridge-helper.c): one bad line, and it allows nothing. */
export function readBridgeRules(file: string): Pick<BridgeHelperFacts, 'rules' | 'fault'> {
  try {
    return { rules: readRules(file, []) };
  } catch (error) {
    return { rules: [], fault: (error as Error).message };
  }
}

function readRules(file: string, above: readonly string[]): BridgeHelperFacts['rules'] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    // What is included may be for other users.
    if (above.length > 0) return [];
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`${file} ${code === 'ENOENT' ? 'does not exist' : 'cannot be read by you'}`);
  }
  return text.split('\n').flatMap((line) => {
    if (/^\s*(#|$)/.test(line)) return [];
    const [, word = '', name = ''] = /^\s*(\S+)\s+(.*?)\s*$/.exec(line) ?? [];
    if (word === 'include') return above.includes(name) ? [] : readRules(name, [...above, file]);
    if (word === 'allow' || word === 'deny') return [{ allow: word === 'allow', bridge: name }];
    throw new Error(`${file} has a line that is no rule: ${JSON.stringify(line.trim())}`);
  });
}
