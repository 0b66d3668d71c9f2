import { EXIT, fault } from '../core/diagnostic.ts';
import { isRecord } from '../core/json.ts';
import { type Answered, factsFromAnswers, schemaFromAnswers } from './answers.ts';
import type { QemuFacts, QemuSchema } from './facts.ts';

/** What a recorded QMP session tells about its QEMU; `kvm` is absent when it was not asked. */
export interface Replies {
  readonly qemu: QemuFacts;
  readonly schema: QemuSchema;
  readonly kvm?: boolean;
}

/**
 * Reads a recorded QMP session: JSON documents with blank lines between them, each request followed by its answer.
 * `file` is its name for messages. Throws EzvmError when it is none.
 */
export function readReplies(text: string, file: string): Replies {
  const answers = readAnswers(text, file);
  const arch = answers.find(({ execute }) => execute === 'query-target')?.answer as { arch?: string } | undefined;
  const qemu = factsFromAnswers(answers, `/usr/bin/qemu-system-${arch?.arch ?? 'x86_64'}`);
  const schema = schemaFromAnswers(answers);
  if (!qemu || !schema) throw notReplies(file, 'it holds no answer to query-version');
  if (qemu.devices.length === 0) throw notReplies(file, 'it holds no answer to qom-list-types');
  const kvm = answers.find(({ execute }) => execute === 'query-kvm')?.answer as { enabled?: boolean } | undefined;
  return { qemu, schema, ...(kvm ? { kvm: kvm.enabled === true } : {}) };
}

function readAnswers(text: string, file: string): readonly Answered[] {
  const answers: Answered[] = [];
  let request: Record<string, unknown> | undefined;
  for (const { lines, first } of paragraphs(text)) {
    const document = readDocument(lines.join('\n'), file, first);
    if (typeof document['execute'] === 'string') request = document;
    else if (request && ('return' in document || 'error' in document)) {
      if ('return' in document) {
        const { execute, arguments: given } = request as { execute: string; arguments?: Record<string, unknown> };
        answers.push({ execute, arguments: given, answer: document['return'] });
      }
      request = undefined;
    }
  }
  return answers;
}

/** The runs of lines between blank lines, each with the number of its first line. */
function* paragraphs(text: string): Generator<{ lines: string[]; first: number }> {
  let lines: string[] = [];
  for (const [n, line] of `${text}\n`.split('\n').entries()) {
    if (line.trim() !== '') lines.push(line);
    else if (lines.length > 0) {
      yield { lines, first: n + 1 - lines.length };
      lines = [];
    }
  }
}

function readDocument(text: string, file: string, line: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
  } catch {
    // Told below, with what every other shape is told.
  }
  throw notReplies(file, `no JSON object begins at line ${line}`);
}

function notReplies(file: string, reason: string): Error {
  return fault(EXIT.config, 'replies-invalid', `${file} is no recorded QMP session: ${reason}`, {
    help: 'a recording holds QMP requests and answers as JSON documents, with a blank line between two',
  });
}
