import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shellJoin, shellQuote } from '../../src/core/quote.ts';
import { hostileText } from '../hostile-text.ts';

/** What a real shell makes of a command line, less the command. */
function shellWords(shell: string, text: string): string[] {
  const { stdout, status } = spawnSync(shell, ['-c', `printf '%s\\0' ${text}`], { encoding: 'utf8' });
  expect(status).toBe(0);
  return stdout.split('\0').slice(0, -1);
}

describe('a quoted command line', () => {
  it.each(['sh', 'bash'])('is split by %s into the very same words', (shell) => {
    fc.assert(
      fc.property(fc.array(hostileText(), { minLength: 1, maxLength: 20 }), (argv) => {
        expect(shellWords(shell, shellJoin(argv))).toEqual(argv);
      }),
      { numRuns: 150 },
    );
  });

  it('runs nothing and expands nothing', () => {
    const words = [
      '$(touch /tmp/x)',
      '`id`',
      '$HOME',
      '~',
      '~root',
      '*',
      '?',
      '[a-z]*',
      '{a,b}',
      '!!',
      '#no',
      ';id',
      '|id',
      '&',
      '>x',
      '\\',
    ];
    expect(shellWords('sh', shellJoin(words))).toEqual(words);
  });

  it.each(['-device', 'virtio-net-pci', '/dev/vm1/disk', 'a=b,c=d', 'user@host:~/x'.replace('~', ''), '5%'])(
    'leaves %s readable',
    (word) => {
      expect(shellQuote(word)).toBe(word);
    },
  );

  it('quotes the empty word, and quotes within quotes', () => {
    expect(shellQuote('')).toBe("''");
    expect(shellQuote("it's")).toBe(`'it'\\''s'`);
    expect(shellWords('sh', shellJoin(["'a' 'b'", "''"]))).toEqual(["'a' 'b'", "''"]);
  });
});
