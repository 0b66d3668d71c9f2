import { homedir } from 'node:os';
import { findDirs } from '../host/dirs.ts';
import type { HostDirs } from '../host/facts.ts';
import type { CliContext } from './context.ts';

/** The home that `~/` means. */
export function homeOf({ env }: CliContext): string {
  return env['HOME'] ?? homedir();
}

/** Where ezvm keeps things for the user who calls it. */
export function dirsOf(context: CliContext): HostDirs {
  return findDirs(context.env, { uid: process.geteuid?.() ?? 0, home: homeOf(context) });
}
