import type { Resolver } from '../device.ts';
import { resolveAudio } from './audio.ts';
import { resolveBridge } from './bridge.ts';
import { resolveCpu } from './cpu.ts';
import { resolveDisk } from './disk.ts';
import { resolveLookingGlass } from './looking-glass.ts';
import { resolveMachine } from './machine.ts';
import { resolveMacvtap } from './macvtap.ts';
import { resolveNuma } from './numa.ts';
import { resolvePasst } from './passt.ts';
import { resolvePassthrough } from './passthrough.ts';
import { resolveReconnect } from './reconnect.ts';
import { resolveSpiceApp } from './spice-app.ts';
import { resolveSpiceSocket } from './spice-socket.ts';
import { resolveSriov } from './sriov.ts';
import { resolveSwtpm } from './swtpm.ts';
import { resolveUefi } from './uefi.ts';
import { resolveUsbHost } from './usb-host.ts';
import { resolveViewer } from './viewer.ts';
import { resolveVirtiofs } from './virtiofs.ts';

/** The code that device templates may name with `resolver:`. */
export const RESOLVERS: { readonly [name: string]: Resolver } = {
  audio: resolveAudio,
  bridge: resolveBridge,
  cpu: resolveCpu,
  disk: resolveDisk,
  'looking-glass': resolveLookingGlass,
  machine: resolveMachine,
  macvtap: resolveMacvtap,
  numa: resolveNuma,
  passt: resolvePasst,
  passthrough: resolvePassthrough,
  reconnect: resolveReconnect,
  'spice-app': resolveSpiceApp,
  'spice-socket': resolveSpiceSocket,
  sriov: resolveSriov,
  swtpm: resolveSwtpm,
  uefi: resolveUefi,
  'usb-host': resolveUsbHost,
  viewer: resolveViewer,
  virtiofs: resolveVirtiofs,
};
