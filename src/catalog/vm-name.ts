/** Whether a VM may be called so; its directories and sockets are named after it. */
export function isVmName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text);
}
