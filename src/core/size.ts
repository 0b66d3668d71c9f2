const UNITS: Record<string, number> = { '': 0, B: 0, K: 1, M: 2, G: 3, T: 4, P: 5 };

/**
 * Reads a size such as `512M`, `16G`, `1.5G` or `4GiB` as bytes. A bare number is bytes.
 * @returns undefined when the text is no size, or no whole number of bytes
 */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGTP]?)(?:i?B)?$/i.exec(text.trim());
  if (!match) return undefined;
  const bytes = Number(match[1]) * 1024 ** (UNITS[(match[2] ?? '').toUpperCase()] ?? 0);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest exact spelling of a number of bytes, always with its unit: 17179869184 is `16G`, 1000 is `1000B`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (unit < 5 && value !== 0 && value % 1024 === 0) {
    value /= 1024;
    unit++;
  }
  return `${value}${['B', 'K', 'M', 'G', 'T', 'P'][unit]}`;
}
