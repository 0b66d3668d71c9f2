import { execFile } from 'node:child_process';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { HostFacts } from '../../src/host/facts.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { QemuOption } from '../../src/qemu/option.ts';
import { OTHERS } from './others.ts';

/** Directories with the programs of a target in user space: this machine's, or those beside another release's QEMU. */
const PLACES = [
  ...(process.env['PATH'] ?? '').split(delimiter),
  '/usr/sbin',
  ...OTHERS.flatMap(({ binary }) => (binary === undefined ? [] : [dirname(binary)])),
];

const TARGET = PLACES.find((place) => ['tgtd', 'tgtadm'].every((name) => existsSync(join(place, name))));

/** Where a QEMU of this machine has its modules. */
const MODULES = ['/usr/lib/x86_64-linux-gnu/qemu', '/usr/lib64/qemu', '/usr/lib/qemu'];

/** Why a QEMU cannot be given an iSCSI disk here; undefined where it can. */
export function lackOfTarget(portal: string, { qemu }: HostFacts): string | undefined {
  if (!portal.startsWith('127.0.0.1:')) return `no iSCSI target at ${portal}`;
  if (TARGET === undefined) return 'no iSCSI target; node test/qemus.mjs gets one';
  const root = join(dirname(qemu?.binary ?? ''), 'root');
  const modules = existsSync(root) ? [join(root, 'usr/lib/x86_64-linux-gnu/qemu')] : MODULES;
  return modules.some((dir) => existsSync(join(dir, 'block-iscsi.so')))
    ? undefined
    : 'no iSCSI beside this QEMU; node test/qemus.mjs --refresh gets it';
}

/** A server with one disk, for one disk of a plan. */
export interface Target {
  readonly argv: readonly string[];
  /** Where it is told what it has. */
  readonly control: string;
  /** Gives it its disk. */
  readonly furnish: () => Promise<void>;
}

/** A server for each iSCSI disk. */
export function targetsOf({ qemu, vm }: Plan): Target[] {
  return qemu.options.flatMap(({ name, args }) => {
    if (name !== 'blockdev' || typeof args !== 'object' || args['driver'] !== 'iscsi') return [];
    const place = join(vm.stateDir, String(args['node-name']));
    const image = `${place}.img`;
    writeFileSync(image, '');
    truncateSync(image, 4 * 1024 * 1024);
    const env = { ...process.env, TGT_IPC_SOCKET: place };
    const admin = async (mode: string, op: string, ...words: string[]): Promise<void> => {
      const all = ['--lld', 'iscsi', '--mode', mode, '--op', op, ...words];
      await promisify(execFile)(join(TARGET ?? '', 'tgtadm'), all, { env });
    };
    const user = args['user'] === undefined ? [] : ['--user', String(args['user'])];
    const furnish = async (): Promise<void> => {
      await admin('target', 'new', '--tid', '1', '--targetname', String(args['target']));
      await admin('logicalunit', 'new', '--tid', '1', '--lun', String(args['lun']), '--backing-store', image);
      await admin('target', 'bind', '--tid', '1', '--initiator-address', 'ALL');
      if (user.length === 0) return;
      const password = secretOf(qemu.options, String(args['password-secret']));
      await admin('account', 'new', ...user, '--password', password);
      await admin('account', 'bind', '--tid', '1', ...user);
    };
    const tgtd = [join(TARGET ?? '', 'tgtd'), '--foreground', '--iscsi', `portal=${args['portal']}`];
    return [{ argv: ['/usr/bin/env', `TGT_IPC_SOCKET=${place}`, ...tgtd], control: `${place}.0`, furnish }];
  });
}

function secretOf(options: readonly QemuOption[], id: string): string {
  for (const { args } of options)
    if (typeof args === 'object' && args['id'] === id) return readFileSync(String(args['file']), 'utf8');
  throw new Error(`there is no secret ${id}`);
}
