// A proxy that makes mistakes on request: it stands between a client and the server, and passes bytes on. A request to the
// second port asks for a fault:
//   POST /drop /double /swap /alter /rename   of the next live frame that has an `update`
//   POST /lose                                the next answer to POST /messages; its connection is cut instead
//   POST /cut                                 all connections; new ones are refused
//   POST /mend                                connections are taken again
// Usage: proxy.mjs SERVER_PORT; the first line of stdout is the two ports.

import http from 'node:http';
import net from 'node:net';

const upstreamPort = Number(process.argv[2]);
const links = new Set();
const faults = [];
let refusing = false;
let losing = false;

/** A whole text frame of a server, unmasked. */
function encode(text) {
  const payload = Buffer.from(text);
  if (payload.length < 126) return Buffer.concat([Buffer.from([0x81, payload.length]), payload]);
  const head = Buffer.alloc(payload.length < 65536 ? 4 : 10);
  head[0] = 0x81;
  head[1] = payload.length < 65536 ? 126 : 127;
  if (payload.length < 65536) head.writeUInt16BE(payload.length, 2);
  else head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, payload]);
}

/** The first frame of `bytes`: its opcode, its payload and its length, or null if it is not all there. */
function decode(bytes) {
  if (bytes.length < 2) return null;
  const short = bytes[1] & 0x7f;
  const head = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < head) return null;
  const size = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  if (bytes.length < head + size) return null;
  return { opcode: bytes[0] & 0x0f, payload: bytes.subarray(head, head + size), length: head + size };
}

class Frames {
  bytes = Buffer.alloc(0);
  held = null;

  /** What the client gets of what the server sent. */
  pass(chunk) {
    this.bytes = Buffer.concat([this.bytes, chunk]);
    const out = [];
    for (let frame; (frame = decode(this.bytes)); this.bytes = this.bytes.subarray(frame.length)) {
      const whole = Buffer.from(this.bytes.subarray(0, frame.length));
      out.push(...(frame.opcode === 1 ? this.text(whole, JSON.parse(frame.payload.toString())) : [whole]));
    }
    return Buffer.concat(out);
  }

  text(whole, frame) {
    if (frame.update === undefined) return [whole];
    if (this.held) {
      const held = this.held;
      this.held = null;
      return [whole, held];
    }
    switch (faults.shift()) {
      case 'drop':
        return [];
      case 'double':
        return [whole, whole];
      case 'swap':
        this.held = whole;
        return [];
      case 'alter':
        return [encode(JSON.stringify({ ...frame, data: { ...frame.data, content: 'something else' } }))];
      case 'rename':
        return [encode(JSON.stringify({ ...frame, event: 'message.sparkled', data: { sparkles: 3 } }))];
      default:
        return [whole];
    }
  }
}

const proxy = net.createServer((client) => {
  if (refusing) return void client.destroy();
  const server = net.connect(upstreamPort, '127.0.0.1');
  const link = { client, server };
  links.add(link);
  const end = () => {
    links.delete(link);
    client.destroy();
    server.destroy();
  };
  for (const socket of [client, server]) socket.on('error', end).on('close', end);
  let frames = null;
  let lost = false;
  client.on('data', (chunk) => {
    // Frames that are compressed could not be read.
    const text = chunk.toString('latin1').replace(/^sec-websocket-extensions:.*\r\n/im, '');
    if (losing && text.startsWith('POST /messages ')) {
      losing = false;
      lost = true;
    }
    server.write(frames ? chunk : Buffer.from(text, 'latin1'));
  });
  server.on('data', (chunk) => {
    if (lost) return end();
    if (frames) return void client.write(frames.pass(chunk));
    const head = chunk.toString('latin1');
    if (!head.startsWith('HTTP/1.1 101')) return void client.write(chunk);
    const body = head.indexOf('\r\n\r\n') + 4;
    client.write(chunk.subarray(0, body));
    frames = new Frames();
    client.write(frames.pass(chunk.subarray(body)));
  });
});

const control = http.createServer((request, response) => {
  const fault = request.url.slice(1);
  if (fault === 'cut') {
    refusing = true;
    for (const { client, server } of links) {
      client.destroy();
      server.destroy();
    }
  } else if (fault === 'mend') refusing = false;
  else if (fault === 'lose') losing = true;
  else faults.push(fault);
  response.writeHead(204).end();
});

proxy.listen(0, '127.0.0.1', () =>
  control.listen(0, '127.0.0.1', () => {
    console.log(`${proxy.address().port} ${control.address().port}`);
  }),
);
