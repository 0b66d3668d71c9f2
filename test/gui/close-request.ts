import { once } from 'node:events';
import { connect } from 'node:net';

/** Bytes of an event, and of a reply with nothing more to say. */
const HEADER = 32;

/** Asks a window to close, as a window manager does for its cross; there is none on the screens of tests. */
export async function requestClose(display: string, window: number): Promise<void> {
  const socket = connect(`/tmp/.X11-unix/X${display.slice(1)}`);
  await once(socket, 'connect');
  const answers = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let rest = Buffer.alloc(0);
  const read = async (bytes: number): Promise<Buffer> => {
    while (rest.length < bytes) {
      const { value, done } = await answers.next();
      if (done) throw new Error('the X server has hung up');
      rest = Buffer.concat([rest, value]);
    }
    const read = rest.subarray(0, bytes);
    rest = rest.subarray(bytes);
    return read;
  };
  const setup = Buffer.alloc(12);
  setup.write('l');
  setup.writeUInt16LE(11, 2);
  socket.write(setup);
  const welcome = await read(8);
  if (welcome[0] !== 1) throw new Error('the X server takes no clients');
  await read(4 * welcome.readUInt16LE(6));
  const atom = async (name: string): Promise<number> => {
    const request = Buffer.alloc(8 + ((name.length + 3) & ~3));
    request[0] = 16;
    request.writeUInt16LE(request.length / 4, 2);
    request.writeUInt16LE(name.length, 4);
    request.write(name, 8);
    socket.write(request);
    return (await read(HEADER)).readUInt32LE(8);
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
