import type { Report } from '../core/diagnostic.ts';

/** Refuses directories for the VM's files in which its programs would not work. */
export function refuseDirectories(directories: readonly string[], report: Report): void {
  for (const directory of directories) {
    // Node never returns from making directories there.
    if (/^\/(proc|sys)\//.test(directory))
      report({
        severity: 'error',
        code: 'directory-refused',
        message: `${directory} is in a file system of the kernel's own`,
        help: 'set XDG_STATE_HOME and XDG_RUNTIME_DIR to ordinary directories',
      });
    // swtpm and other sidecars split their options at commas and know no escape.
    if (/[,\n]/.test(directory))
      report({
        severity: 'error',
        code: 'directory-refused',
        message: `the directory ${JSON.stringify(directory)} has a comma or a line break in its name`,
        help: 'set XDG_STATE_HOME and XDG_RUNTIME_DIR to plainer places',
      });
  }
}
