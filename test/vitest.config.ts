import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const SECONDS = 1000;

/** The tiers of the tests, in the order in which they run: which files, and how long one test may take. */
const TIERS: Record<string, { files: string[]; timeout: number }> = {
  unit: {
    files: [
      'test/{core,qemu,catalog,input,host,model,plan,formats,admin,launch,cli}/**/*.test.ts',
      'test/{architecture,setup}.test.ts',
    ],
    timeout: 60 * SECONDS,
  },
  golden: { files: ['test/golden/**/*.test.ts'], timeout: 60 * SECONDS },
  laws: { files: ['test/laws/**/*.test.ts'], timeout: 60 * SECONDS },
  versions: { files: ['test/versions/**/*.test.ts'], timeout: 120 * SECONDS },
  accept: { files: ['test/accept/**/*.test.ts'], timeout: 240 * SECONDS },
  fault: { files: ['test/fault/**/*.test.ts'], timeout: 240 * SECONDS },
  priv: { files: ['test/priv/**/*.test.ts'], timeout: 240 * SECONDS },
  gui: { files: ['test/gui/**/*.test.ts'], timeout: 240 * SECONDS },
  privilege: { files: ['test/privilege/**/*.test.ts'], timeout: 240 * SECONDS },
  boot: { files: ['test/boot/**/*.test.ts'], timeout: 240 * SECONDS },
  l1: { files: ['test/l1/**/*.test.ts'], timeout: 480 * SECONDS },
};

// biome-ignore lint/style/noDefaultExport: vitest looks for it there
export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    projects: Object.entries(TIERS).map(([name, { files, timeout }]) => ({
      test: { name, include: files, testTimeout: timeout, hookTimeout: timeout },
    })),
  },
});
