import { z } from 'zod';
import { type Diagnostic, EXIT, EzvmError, fault } from '../core/diagnostic.ts';
import type { HostFacts, QemuSchema } from './facts.ts';

/** What `ezvm facts` prints; the schema only when it was asked for. */
export interface FactsFile extends HostFacts {
  readonly schema?: QemuSchema;
}

const HELP = 'make such a file with: ezvm facts > FILE';

const words = z.array(z.string());
const byName = z.record(z.string(), z.string());
const version = z.object({ major: z.int(), minor: z.int(), micro: z.int() });

const qemu = z.object({
  binary: z.string(),
  version,
  package: z.string(),
  arch: z.string(),
  machines: byName,
  maxCpus: z.record(z.string(), z.int()).exactOptional(),
  devices: words,
  objects: words,
  cpuModels: words,
  netdevs: words,
  audiodevs: words,
  displays: words,
  tpmTypes: words,
  spice: z.boolean(),
  sandbox: z.boolean(),
});

const firmware = z.object({
  file: z.string(),
  interfaces: words,
  executable: z.string(),
  executableFormat: z.string(),
  nvramTemplate: z.string().exactOptional(),
  nvramFormat: z.string().exactOptional(),
  executableSize: z.number().exactOptional(),
  nvramSize: z.number().exactOptional(),
  mode: z.enum(['split', 'combined', 'stateless', 'memory']),
  targets: z.array(z.object({ architecture: z.string(), machines: words })),
  features: words,
});

const path = z.object({
  kind: z.enum(['missing', 'file', 'directory', 'block', 'character', 'socket', 'other', 'denied']),
  size: z.number().exactOptional(),
  readable: z.boolean(),
  writable: z.boolean(),
  identity: z.string().exactOptional(),
  virtualSize: z.number().exactOptional(),
  backing: z.string().exactOptional(),
  backingFormat: z.string().exactOptional(),
  further: words.exactOptional(),
  unlisted: words.exactOptional(),
  format: z.enum(['raw', 'qcow2', 'vmdk', 'vdi', 'vhdx', 'vpc']).exactOptional(),
});

const link = z.object({
  kind: z.enum(['missing', 'bridge', 'tap', 'macvtap', 'other']),
  index: z.int().exactOptional(),
  mac: z.string().exactOptional(),
  usable: z.boolean().exactOptional(),
  queues: z.boolean().exactOptional(),
  functions: z.array(z.object({ pci: z.string(), mac: z.string().exactOptional() })).exactOptional(),
});

const bridgeHelper = z.object({
  path: z.string(),
  privileged: z.boolean(),
  rules: z.array(z.object({ allow: z.boolean(), bridge: z.string() })),
  fault: z.string().exactOptional(),
});

const pci = z.object({
  address: z.string(),
  id: z.string(),
  group: z.string().exactOptional(),
  fault: z.string().exactOptional(),
  closed: z.literal(true).exactOptional(),
});

const helper = z.object({
  path: z.string(),
  fault: z.object({ message: z.string(), help: z.string() }).exactOptional(),
  bridges: z.record(z.string(), z.string().nullable()).exactOptional(),
});

const schema = z.object({
  version,
  // QEMU's own data, thousands of entries: what reads it takes nothing in it for granted.
  qapi: z.array(z.looseObject({ name: z.string(), 'meta-type': z.string() })),
  devices: words,
  properties: z.record(z.string(), byName),
  options: z.record(z.string(), words),
});

const accelerator = z.object({
  usable: z.boolean(),
  reason: z.string().exactOptional(),
  help: z.string().exactOptional(),
});

const factsFile = z.object({
  format: z.literal(1),
  arch: z.string(),
  user: z.object({ uid: z.int(), gid: z.int(), name: z.string(), home: z.string() }),
  dirs: z.object({ run: z.string(), state: z.string(), cache: z.string(), config: z.string() }),
  cpus: z.int().positive(),
  cpuVendor: z.string().exactOptional(),
  memory: z.int().positive(),
  qemu: qemu.exactOptional(),
  kvm: accelerator,
  hvf: accelerator.exactOptional(),
  programs: byName,
  firmware: z.array(firmware),
  paths: z.record(z.string(), path),
  links: z.record(z.string(), link).exactOptional(),
  pci: z.array(pci).exactOptional(),
  bridgeHelper: bridgeHelper.exactOptional(),
  lockable: z.number().exactOptional(),
  helper: helper.exactOptional(),
  virtiofsd: z.object({ path: z.string(), options: words, fault: z.string().exactOptional() }).exactOptional(),
  passt: z.object({ path: z.string(), options: words, fault: z.string().exactOptional() }).exactOptional(),
  session: byName,
  renderNodes: words.exactOptional(),
  sound: words,
  schema: schema.exactOptional(),
});

/**
 * Reads what `ezvm facts` printed, maybe on another machine. `file` is its name for messages; keys it does not know are
 * passed over. Throws EzvmError (exit 1) with every fault.
 */
export function parseFacts(text: string, file: string): FactsFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fault(EXIT.config, 'facts-invalid', `${file} is not JSON: ${(error as Error).message}`, { help: HELP });
  }
  const read = factsFile.safeParse(value);
  if (read.success) return read.data as FactsFile;
  const faults = read.error.issues.map(
    (issue): Diagnostic => ({
      severity: 'error',
      code: 'facts-invalid',
      message: `${file}: ${issue.path.length > 0 ? issue.path.map(String).join('.') : 'the whole'}: ${issue.message}`,
      help: HELP,
    }),
  );
  throw new EzvmError(faults, EXIT.config);
}
