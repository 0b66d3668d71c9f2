/** Notices that explain nothing: QEMU prints them in good times too. */
const CHATTER = /\bwarning: |^\*\* \(|: info: |module \S+ not found, do you want to install/;

/**
 * The line of a program's stderr that says why it gave up, without the program's name in front; undefined when there is
 * none. A line marked as an error counts more than a later one: QEMU's assertions come after what they are about.
 */
export function findComplaint(stderr: string): string | undefined {
  const lines = stderr
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !CHATTER.test(line));
  const line = lines.find((one) => /\berror: /.test(one)) ?? lines.at(-1);
  return line?.replace(/^(\S*\/)?(qemu|kvm|swtpm|setpriv)[\w.-]*: /, '').replace(/^error: /, '');
}
