import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { probeQemu, probeSchema } from '../../src/host/capabilities.ts';
import type { QemuSchema } from '../../src/host/facts.ts';
import { startPaused } from '../../src/host/paused-qemu.ts';
import { readReplies } from '../../src/host/replies.ts';
import { compareVersions, type QemuOption, type QemuProps } from '../../src/qemu/option.ts';
import type { QapiEntity } from '../../src/qemu/qapi.ts';
import { renderOptions } from '../../src/qemu/render.ts';
import { checkOptions } from '../../src/qemu/schema.ts';
import { NO_QEMU, NO_RECORDINGS, QEMU, RECORDINGS, readRecording } from './recordings.ts';
import { IGNORED_BY_QEMU, ORIGIN, option, RIGHT, SOCKET_PATH, WRONG } from './schema-cases.ts';

afterAll(() => rmSync(SOCKET_PATH, { force: true }));

function messages(options: readonly QemuOption[], schema: QemuSchema): string[] {
  return checkOptions(options, schema, QEMU).map(({ message }) => message);
}

describe.skipIf(NO_RECORDINGS)('checkOptions on recorded QEMUs (left out where ../shared/cases is absent)', () => {
  describe.each(RECORDINGS)('$name', (recording) => {
    let schema: QemuSchema;
    let name: string;
    beforeAll(() => {
      schema = readReplies(readRecording(recording), recording.name).schema;
      const { major, minor, micro } = schema.version;
      name = `QEMU ${major}.${minor}.${micro}`;
    });

    it.each(
      RIGHT.map(
        (options) => [options.map(({ name, args }) => `-${name} ${JSON.stringify(args)}`).join(' '), options] as const,
      ),
    )('takes %s', (_, options) => {
      expect(messages(options, schema)).toEqual([]);
    });

    it.each([...WRONG, ...IGNORED_BY_QEMU].map(([options, code, says]) => [says, code, options] as const))(
      'says %s',
      (says, code, options) => {
        // Before 7.2 -display was not all in the schema.
        const known = !/-display/.test(says) || compareVersions(schema.version, { major: 7, minor: 2, micro: 0 }) >= 0;
        const driver = options.find(({ name }) => name === 'device')?.args;
        const device = typeof driver === 'object' ? String(driver['driver']) : '';
        const listed =
          (code !== 'qemu-property-unknown' && code !== 'qemu-property-type') ||
          device === '' ||
          device in schema.properties;
        expect(checkOptions(options, schema, QEMU)).toEqual(
          known && listed
            ? [expect.objectContaining({ severity: 'error', code, message: name + says, origin: ORIGIN })]
            : [],
        );
      },
    );

    it('has no -run-with before 8.1, and says so', () => {
      const said = messages([option('run-with', { chroot: '/' })], schema);
      const has = compareVersions(schema.version, { major: 8, minor: 1, micro: 0 }) >= 0;
      expect(said).toEqual(has ? [] : [`${name} has no -run-with`]);
    });

    it('takes -audiodev as far as its schema tells', () => {
      expect(messages([option('audiodev', { driver: 'none', id: 'a', out: { frequency: 48000 } })], schema)).toEqual(
        [],
      );
      const told = compareVersions(schema.version, { major: 8, minor: 0, micro: 0 }) >= 0;
      expect(messages([option('audiodev', { driver: 'none', id: 'a', timerperiod: 5 })], schema)).toEqual(
        told ? [`${name}'s -audiodev none has no "timerperiod"; did you mean "timer-period"?`] : [],
      );
    });

    it('knows every property that it lists, and refuses one more', () => {
      for (const driver of Object.keys(schema.properties).filter((type) => schema.devices.includes(type))) {
        const all = Object.keys(schema.properties[driver] ?? {});
        const unknown = (names: readonly string[]): string[] =>
          checkOptions(
            [option('device', Object.fromEntries([['driver', driver], ...names.map((one) => [one, 'x'])]))],
            schema,
            QEMU,
          )
            .filter(({ code }) => code === 'qemu-property-unknown')
            .map(({ message }) => message);
        expect(unknown(all)).toEqual([]);
        expect(unknown([...all, 'zzyzx'])).toHaveLength(1);
      }
    });
  });
});

describe('checkOptions', () => {
  const schema: QemuSchema = {
    version: { major: 9, minor: 0, micro: 0 },
    qapi: [],
    devices: [],
    properties: {},
    options: {},
  };

  it('says nothing about what an empty schema does not tell', () => {
    const silent = RIGHT.flat().filter(({ name }) => name !== 'device' && name !== 'sandbox');
    expect(messages(silent, schema)).toEqual([]);
    expect(
      messages(
        [
          { name: 'nodefaults', args: true },
          { name: 'kernel', args: '/vmlinuz' },
        ],
        schema,
      ),
    ).toEqual([]);
  });

  it('points at the package of a device that lives in a module', () => {
    expect(checkOptions([option('device', { driver: 'virtio-vga-gl' })], schema, QEMU)[0]?.help).toMatch(
      /qemu-system-gui/,
    );
    expect(checkOptions([option('device', { driver: 'nope' })], schema, '/opt/qemu-system-aarch64')[0]?.help).toBe(
      'list them with: /opt/qemu-system-aarch64 -device help',
    );
  });

  it('does not check devices whose properties were never listed, nor properties of lists', () => {
    const told = { ...schema, devices: ['a', 'b'], properties: { b: { 'len-regions': 'uint32' } } };
    expect(messages([option('device', { driver: 'a', anything: 1 })], told)).toEqual([]);
    expect(messages([option('device', { driver: 'b', 'len-regions': 1, 'regions[0]': 'x' })], told)).toEqual([]);
  });

  it('reads enumerations of QEMUs that no longer give them as values, and arrays, nulls and branches with branches', () => {
    const object = (name: string, members: QapiEntity['members'], more: Partial<QapiEntity> = {}): QapiEntity => ({
      name,
      'meta-type': 'object',
      members: members ?? [],
      ...more,
    });
    const qapi: QapiEntity[] = [
      { name: 'object-add', 'meta-type': 'command', 'arg-type': '1' },
      object('1', [{ name: 'kind', type: '2' }], {
        tag: 'kind',
        variants: [
          { case: 'a', type: '3' },
          { case: 'b', type: '5' },
        ],
      }),
      { name: '2', 'meta-type': 'enum', members: [{ name: 'a' }, { name: 'b' }] },
      object(
        '3',
        [
          { name: 'sub', type: '2' },
          { name: 'list', type: '[int]', default: null },
        ],
        { tag: 'sub', variants: [{ case: 'b', type: '4' }] },
      ),
      object('4', [{ name: 'deep', type: 'null' }]),
      object('5', []),
      { name: '[int]', 'meta-type': 'array', 'element-type': 'int' },
      { name: 'int', 'meta-type': 'builtin', 'json-type': 'int' },
      { name: 'null', 'meta-type': 'builtin', 'json-type': 'null' },
    ];
    const says = (args: QemuProps): string[] => messages([option('object', args)], { ...schema, qapi });
    expect(says({ kind: 'b' })).toEqual([]);
    expect(says({ kind: 'wool' })).toEqual(['QEMU 9.0.0\'s -object has no kind "wool"; use a, b']);
    expect(says({ kind: 'a' })).toEqual(['QEMU 9.0.0\'s -object needs "sub"']);
    expect(says({ kind: 'a', sub: 'a', list: [1, 2] })).toEqual([]);
    expect(says({ kind: 'a', sub: 'b' })).toEqual(['QEMU 9.0.0\'s -object needs "deep"']);
    expect(says({ kind: 'a', sub: 'b', deep: 'x', list: [1, 'y'] })).toEqual([
      'QEMU 9.0.0\'s -object wants null for "deep", not "x"',
      'QEMU 9.0.0\'s -object wants a whole number for "list[1]", not "y"',
    ]);
  });
});

describe.skipIf(NO_QEMU)('checkOptions and the QEMU of this machine (left out where there is none)', () => {
  let schema: QemuSchema;
  beforeAll(async () => {
    schema = await probeSchema(await probeQemu(QEMU));
  });

  /** Why QEMU refuses the options; undefined when it takes them. */
  async function refusal(options: readonly QemuOption[]): Promise<string | undefined> {
    const machine = options.some(({ name }) => name === 'machine') ? [] : [option('machine', { type: 'q35' })];
    const args = renderOptions([...machine, ...options], 'json', schema.version);
    try {
      const qemu = await startPaused(QEMU, args);
      try {
        await qemu.qmp.execute('query-status');
        return undefined;
      } catch (error) {
        return await qemu.explain(error as Error);
      } finally {
        await qemu.stop();
      }
    } catch (error) {
      return (error as Error).message;
    }
  }

  it.each(
    RIGHT.map(
      (options) => [options.map(({ name, args }) => `-${name} ${JSON.stringify(args)}`).join(' '), options] as const,
    ),
  )('both take %s', async (_, options) => {
    expect(messages(options, schema)).toEqual([]);
    expect(await refusal(options)).toBeUndefined();
  });

  it.each(WRONG.map(([options, , says]) => [says, options] as const))('both refuse what %s', async (_, options) => {
    expect(messages(options, schema)).toHaveLength(1);
    expect(await refusal(options)).toEqual(expect.any(String));
  });
});
