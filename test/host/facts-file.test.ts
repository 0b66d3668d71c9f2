import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EzvmError } from '../../src/core/diagnostic.ts';
import { parseFacts } from '../../src/host/facts-file.ts';
import { probeHost } from '../../src/host/probe.ts';
import { readReplies } from '../../src/host/replies.ts';
import { NO_RECORDINGS, RECORDINGS, readRecording } from '../qemu/recordings.ts';
import { scratch } from './scratch.ts';

const LAPTOP = readFileSync(new URL('../hosts/laptop.json', import.meta.url), 'utf8');

function faults(text: string): EzvmError {
  try {
    parseFacts(text, 'facts.json');
  } catch (error) {
    if (error instanceof EzvmError) return error;
  }
  throw new Error('it was not refused');
}

describe('parseFacts', () => {
  it.each(['laptop', 'bare'])('gives back the facts of the host %s', (host) => {
    const text = readFileSync(new URL(`../hosts/${host}.json`, import.meta.url), 'utf8');
    expect(parseFacts(text, host)).toEqual(JSON.parse(text));
  });

  it('gives back what a probe found', async () => {
    const { facts } = await probeHost({
      questions: { paths: ['/', '/none', '/etc/passwd'], interfaces: [], programs: [] },
      env: { HOME: scratch() },
    });
    expect(parseFacts(JSON.stringify(facts), 'facts.json')).toEqual(JSON.parse(JSON.stringify(facts)));
  });

  it.skipIf(NO_RECORDINGS)('keeps a schema (left out where ../shared/cases is absent)', () => {
    const recording = RECORDINGS.find(({ complete }) => complete);
    const schema = recording && readReplies(readRecording(recording), recording.name).schema;
    const read = parseFacts(JSON.stringify({ ...JSON.parse(LAPTOP), schema }), 'facts.json');
    expect(read.schema).toEqual(schema);
  });

  it('passes over keys that it does not know', () => {
    const facts = JSON.parse(LAPTOP);
    const more = { ...facts, later: 1, user: { ...facts.user, shell: '/bin/sh' } };
    expect(parseFacts(JSON.stringify(more), 'facts.json')).toEqual(facts);
  });

  it('lists every fault with its place', () => {
    const facts = JSON.parse(LAPTOP);
    facts.cpus = 0;
    facts.qemu.version.major = '10';
    facts.firmware[0].mode = 'odd';
    delete facts.user.home;
    const error = faults(JSON.stringify(facts));
    expect(error.exit).toBe(1);
    expect(
      error.diagnostics.map(({ code, message }) => `${code} ${message.split(': ').slice(0, 2).join(': ')}`).toSorted(),
    ).toEqual([
      'facts-invalid facts.json: cpus',
      'facts-invalid facts.json: firmware.0.mode',
      'facts-invalid facts.json: qemu.version.major',
      'facts-invalid facts.json: user.home',
    ]);
    for (const { help } of error.diagnostics) expect(help).toContain('ezvm facts');
  });

  it.each([
    ['', /^facts.json is not JSON: /],
    ['{"format": 1', /^facts.json is not JSON: /],
    ['[]', /^facts.json: the whole: /],
    ['null', /^facts.json: the whole: /],
    ['"x"', /^facts.json: the whole: /],
    [LAPTOP.replace('"format": 1', '"format": 2'), /^facts.json: format: /],
  ])('refuses %.20j', (text, message) => {
    expect(faults(text).diagnostics[0]?.message).toMatch(message);
  });
});
