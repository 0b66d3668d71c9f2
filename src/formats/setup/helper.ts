import type { SetupFile } from './files.ts';

/** Where the setuid helper is installed. */
export const HELPER = '/usr/libexec/ezvm-priv';
/** Where the helper reads what it allows. */
export const POLICY = '/etc/ezvm/policy';

/** The files that let members of a group call the setuid helper, within a policy that is the administrator's to edit. */
export function helperFiles(program: Uint8Array, policy: string, group: string): SetupFile[] {
  return [
    {
      path: '/etc/sysusers.d/ezvm-helper.conf',
      content: `# Made by ezvm setup helper.\ng ${group} - -\n`,
      mode: 0o644,
    },
    { path: POLICY, content: policy, mode: 0o644, keepsEdits: true },
    // Last: nobody may call it before there is a policy.
    { path: HELPER, content: program, mode: 0o4750, group },
  ];
}
