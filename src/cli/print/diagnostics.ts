import { styleText } from 'node:util';
import type { Diagnostic } from '../../core/diagnostic.ts';
import { formatOrigin, type Origin } from '../../core/origin.ts';

/** More than this helps nobody. */
const MOST = 40;

/** How diagnostics are shown. */
export interface PrintOptions {
  readonly colour: boolean;
  /** The text of a file as its origins name it, for the code frame. */
  readonly source: (file: string) => string | undefined;
}

/** All diagnostics as text, errors last so that they stay in sight; one line each, a code frame and the help. */
export function printDiagnostics(diagnostics: readonly Diagnostic[], options: PrintOptions): string {
  const sorted = inReadingOrder(diagnostics);
  const errors = sorted.filter(({ severity }) => severity === 'error').slice(0, MOST);
  const others = sorted.filter(({ severity }) => severity !== 'error').slice(0, MOST - errors.length);
  const shown = [...others, ...errors].map((diagnostic) => printDiagnostic(diagnostic, options));
  const hidden = diagnostics.length - shown.length;
  if (hidden > 0) shown.push(`(${hidden} more are not shown)\n`);
  return shown.join('');
}

/** Notes, warnings, errors; each by file, line and column, and what has no place at the end. */
function inReadingOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const severities = ['note', 'warning', 'error'];
  const files = [...new Set(diagnostics.map(({ origin }) => origin?.file))].toSorted(
    (a, b) => Number(a === undefined) - Number(b === undefined),
  );
  const key = ({ severity, origin }: Diagnostic): number[] => [
    severities.indexOf(severity),
    files.indexOf(origin?.file),
    origin?.line ?? 0,
    origin?.column ?? 0,
  ];
  return diagnostics
    .map((diagnostic) => ({ diagnostic, key: key(diagnostic) }))
    .toSorted((a, b) => a.key.map((part, index) => part - (b.key[index] ?? 0)).find((part) => part !== 0) ?? 0)
    .map(({ diagnostic }) => diagnostic);
}

function printDiagnostic({ severity, message, origin, help }: Diagnostic, { colour, source }: PrintOptions): string {
  const paint = (style: 'red' | 'yellow' | 'cyan' | 'dim' | 'bold', text: string): string =>
    colour ? styleText(style, text, { validateStream: false }) : text;
  const tint = severity === 'error' ? 'red' : severity === 'warning' ? 'yellow' : 'cyan';
  const label = severity === 'error' && origin ? '' : `${paint(tint, severity)}: `;
  const place = origin ? `${paint('bold', printable(formatOrigin(origin).replaceAll('\n', '\\n')))}  ` : '';
  const frame = origin ? codeFrame(origin, source(origin.file)) : [];
  const lines = [
    `${place}${label}${printable(message)}`,
    ...frame.map((line) => paint('dim', line)),
    ...(help ? [`  ${paint('cyan', 'help')}: ${printable(help)}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function codeFrame(origin: Origin, text: string | undefined): string[] {
  // A tab would be shown wider than the blank that stands for it in the line below.
  const line = text?.split('\n')[origin.line - 1]?.replace(/\r$/, '').replaceAll('\t', ' ');
  if (line === undefined || line.trim() === '') return [];
  // A long line is shown around the place that matters.
  const start = Math.max(0, origin.column - 60);
  const gutter = String(origin.line).padStart(5);
  return [
    `${gutter} | ${printable(whole(line.slice(start, start + 100)))}`,
    `${' '.repeat(5)} | ${' '.repeat(widthOf(printable(whole(line.slice(start, origin.column - 1)))))}^`,
  ];
}

/** Without the half of a character that a cut may have left at an end. */
function whole(text: string): string {
  return text.replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, '');
}

/** How many columns of a terminal a text takes: two for East Asian letters and pictures, none for combining marks. */
function widthOf(text: string): number {
  return [...text].reduce((sum, character) => sum + (NONE.test(character) ? 0 : WIDE.test(character) ? 2 : 1), 0);
}

const NONE = /\p{Mn}|\p{Me}|\p{Cf}/u;
const WIDE =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;

/** Text from files may hold escape sequences that would reach the terminal. */
export function printable(text: string): string {
  return text.replace(
    /(?![\t\n])[\p{Cc}\p{Bidi_Control}]/gu,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
