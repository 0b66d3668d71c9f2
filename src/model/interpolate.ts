import { suggestion } from '../catalog/params.ts';
import type { ScalarNode, SourceNode } from '../core/source.ts';

/** What `${…}` in a VM file may name. */
export type Scope = { readonly [name: string]: Pick<ScalarNode, 'value' | 'source'> };

/** `${name}`, `${123+name}`, or `$${` for a literal `${`. */
const REFERENCE = /\$\$\{|\$\{([^}]*)\}?/g;

/**
 * Replaces references in every scalar below `node`.
 * A value that is one reference keeps the type of what it names; inside other text it becomes text.
 * @param report called for a reference that cannot be resolved
 */
export function interpolate(
  node: SourceNode,
  scope: Scope,
  report: (node: ScalarNode, message: string, help?: string) => void,
): SourceNode {
  if (node.kind === 'list') return { ...node, items: node.items.map((item) => interpolate(item, scope, report)) };
  if (node.kind === 'map')
    return {
      ...node,
      entries: node.entries.map((entry) => ({ ...entry, node: interpolate(entry.node, scope, report) })),
    };
  const text = node.value;
  if (typeof text !== 'string' || !text.includes('${')) return node;
  const { source: _, ...rest } = node;
  const whole = /^\$\{([^}]*)\}$/.exec(text);
  if (whole) return { ...rest, ...resolve(whole[1] ?? '', scope, (...problem) => report(node, ...problem)) };
  const value = text.replace(REFERENCE, (match, inner?: string) => {
    if (match === '$${') return '${';
    if (inner === undefined || !match.endsWith('}')) {
      report(node, `${JSON.stringify(match.slice(0, 40))} is not closed by }`, 'write $${ for the two characters ${');
      return match;
    }
    const found = resolve(inner, scope, (...problem) => report(node, ...problem));
    return found.source ?? String(found.value);
  });
  return { ...rest, value };
}

const UNRESOLVED: Scope[string] = { value: null };

function resolve(inner: string, scope: Scope, report: (message: string, help?: string) => void): Scope[string] {
  const match = /^(?:(-?\d+)\+)?([A-Za-z][\w.-]*)$/.exec(inner);
  const name = match?.[2];
  if (!match || name === undefined) {
    report(
      `\${${inner}} is not a reference`,
      'a reference is ${vars.name}, ${vm.name} or ${5900+vars.name}; write $${ for the two characters ${',
    );
    return UNRESOLVED;
  }
  const found = Object.hasOwn(scope, name) ? scope[name] : undefined;
  if (found === undefined) {
    const names = Object.keys(scope);
    report(
      `\${${inner}} names nothing`,
      suggestion(name, names) ??
        (names.length > 0 ? `there are ${names.join(', ')}` : 'the name and uuid of a VM cannot refer to anything'),
    );
    return UNRESOLVED;
  }
  if (match[1] === undefined) return found;
  const sum = Number(match[1]) + Number(found.value);
  if (typeof found.value === 'number' && Number.isSafeInteger(sum)) return { value: sum };
  report(
    `\${${inner}} adds to ${name}, which is no whole number`,
    `write it without quotes, as in \`${name.replace('vars.', '')}: 3\``,
  );
  return UNRESOLVED;
}
