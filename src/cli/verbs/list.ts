import { statusOfAll } from '../../admin/status.ts';
import { EXIT } from '../../core/diagnostic.ts';
import { listVmFiles } from '../../input/locate.ts';
import { dirsOf } from '../dirs.ts';
import { OWNER_FLAG } from '../roots-flags.ts';
import { runRoot } from '../running.ts';
import { JSON_FLAG, type Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'list',
  summary: 'Lists the VMs that can be started by name, and those that run.',
  example: 'ezvm list --json',
  flags: { ...JSON_FLAG, ...OWNER_FLAG },
  forOwner: true,
  words: [0, 0],
  async run(_, flags, context) {
    const dirs = dirsOf(context);
    const running = new Map((await statusOfAll(runRoot(context), dirs.state)).map((status) => [status.name, status]));
    const rows = listVmFiles(context.cwd, dirs.config).map(({ stem, shown, absolute }) => {
      // The file may give its VM another name than its own.
      const status = [...running.values()].find(({ name, file }) =>
        file === undefined ? name === stem : file === absolute,
      );
      return { name: status?.name ?? stem, condition: status?.condition ?? 'stopped', file: shown };
    });
    for (const { name, condition, file } of running.values())
      if (!rows.some((row) => row.name === name)) rows.push({ name, condition, file: file ?? '' });
    if (flags['json']) context.out(`${JSON.stringify(rows, undefined, 2)}\n`);
    else if (rows.length === 0)
      context.err('there is no VM here; write one, as in: echo "template: linux" > my-vm.yaml\n');
    else {
      const width = Math.max(...rows.map((row) => row.name.length));
      context.out(rows.map((row) => `${row.name.padEnd(width)}  ${row.condition.padEnd(8)}  ${row.file}\n`).join(''));
    }
    return EXIT.ok;
  },
};
