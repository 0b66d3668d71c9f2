/** Which of test/hosts a case is for: the laptop, unless its first line says `# On arm-mac: …`. */
export function hostIn(text: string): string {
  return /^# On ([a-z-]+):/.exec(text)?.[1] ?? 'laptop';
}
