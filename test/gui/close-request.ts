import { once } from 'node:events';
import { connect } from 'node:net';

const HEADER = 32;

/** Asks a window to close, as a window manager does for its cross; there is none on the screens of tests. */
export async function requestClose(display: string, window: number): Promise<void> {
  const socket = connect(`/tmp/.X11-unix/X${display.slice(1)}`);
  await once(socket, 'connect');
  /** Says something, and reads what comes back: all of it, as nothing else is asked for meanwhile. */
  const ask = async (request: Buffer): Promise<Buffer> => {
    socket.write(request);
    const [reply] = (await once(socket, 'data')) as [Buffer];
    return reply;
  };
  const setup = Buffer.alloc(12);
  setup.write('l');
  setup.writeUInt16LE(11, 2);
  if ((await ask(setup))[0] !== 1) throw new Error('the X server takes no clients');
  const atom = async (name: string): Promise<number> => {
    const request = Buffer.alloc(8 + ((name.length + 3) & ~3));
    request[0] = 16;
    request.writeUInt16LE(request.length / 4, 2);
    request.writeUInt16LE(name.length, 4);
    request.write(name, 8);
    return (await ask(request)).readUInt32LE(8);
  };
  const [protocols, deletion] = [await atom('WM_PROTOCOLS'), await atom('WM_DELETE_WINDOW')];
  // SendEvent of a ClientMessage with data of 32 bits each.
  const request = Buffer.alloc(12 + HEADER);
  request[0] = 25;
  request.writeUInt16LE(request.length / 4, 2);
  request.writeUInt32LE(window, 4);
  request[12] = 33;
  request[13] = 32;
  request.writeUInt32LE(window, 16);
  request.writeUInt32LE(protocols, 20);
  request.writeUInt32LE(deletion, 24);
  socket.end(request);
  await once(socket, 'close');
}
