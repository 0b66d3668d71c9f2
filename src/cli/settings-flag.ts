import { EXIT, EzvmError, fault } from '../core/diagnostic.ts';
import type { SourceDoc, SourceNode } from '../core/source.ts';
import { parse } from '../model/parse.ts';

/**
 * Reads `--set key.key=value` as a layer of its own. The value is YAML, so `[a, b]`, `{ type: x }` and `null` work;
 * what is no YAML is taken as text.
 * @throws EzvmError (usage) when there is no key
 */
export function parseSetting(text: string): SourceDoc {
  const equals = text.indexOf('=');
  const keys = text.slice(0, Math.max(0, equals)).split('.');
  if (equals < 1 || keys.some((key) => !/^[\w-]+$/.test(key) || key === '__proto__'))
    throw fault(EXIT.usage, 'set-wrong', `--set ${text} is not KEY=VALUE`, {
      help: 'as in --set cpu.cores=8 or --set disks.disk0.cache=none',
    });
  const value = readValue(text.slice(equals + 1));
  const root = keys.reduceRight<SourceNode>(
    (node, key) => ({ kind: 'map', at: [1, 1], entries: [{ key, at: [1, 1], node }] }),
    value,
  );
  if (root.kind !== 'map') throw new Error('there is at least one key');
  return { file: `--set ${keys.join('.')}`, root };
}

function readValue(text: string): SourceNode {
  const { doc, diagnostics } = parse(`value: ${text}`, '--set');
  const refused = diagnostics.filter(({ code }) => code === 'character-refused');
  if (refused.length > 0) throw new EzvmError(refused, EXIT.config);
  const [entry, ...more] = doc.root.entries;
  const node = entry?.node;
  const isQuoted = /^\s*["']/.test(text);
  // Text that nobody quoted is taken to the letter: YAML would drop a comment from it and fold its lines.
  if (diagnostics.length > 0 || !node || more.length > 0 || (isText(node) && !isQuoted))
    return { kind: 'scalar', at: [1, 1], value: text };
  return node.kind === 'scalar' && !isText(node) ? { ...node, source: node.source ?? text, loose: true } : node;
}

function isText(node: SourceNode): boolean {
  return node.kind === 'scalar' && typeof node.value === 'string';
}
