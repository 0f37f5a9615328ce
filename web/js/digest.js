// Proves that the client has what the server has. A conversation's digest is the sum, modulo 2^256, of a hash of each message
// ever sent in it; the first 16 digits stand in every event (docs/writing-a-client.md). `crypto.subtle` is kept from pages over
// plain http, so SHA-256 is here.

const MODULUS = 1n << 256n;

const primes = [];
for (let n = 2; primes.length < 64; n += 1) if (primes.every((prime) => n % prime)) primes.push(n);
const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
const START = primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
const ROUND = primes.map((prime) => fraction(Math.cbrt(prime)));

/** SHA-256 of bytes. @param {Uint8Array} bytes @returns {Uint8Array} */
export function sha256(bytes) {
  const length = ((bytes.length + 8) >> 6 << 6) + 64;
  const padded = new Uint8Array(length);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(length - 4, bytes.length << 3);
  const state = Int32Array.from(START);
  const words = new Int32Array(64);
  const turn = (x, by) => (x >>> by) | (x << (32 - by));
  for (let block = 0; block < length; block += 64) {
    for (let i = 0; i < 16; i += 1) words[i] = view.getInt32(block + i * 4);
    for (let i = 16; i < 64; i += 1) {
      const [x, y] = [words[i - 15], words[i - 2]];
      words[i] = words[i - 16] + words[i - 7] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i += 1) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUND[i] + words[i]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    for (const [i, value] of [a, b, c, d, e, f, g, h].entries()) state[i] += value;
  }
  const out = new DataView(new ArrayBuffer(32));
  state.forEach((word, i) => out.setInt32(i * 4, word));
  return new Uint8Array(out.buffer);
}

const number = (bytes) => BigInt(`0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`);

/** What one message adds. @param {{ id: string, seq: number, update: number, content?: string, deleted_at?: string }} message */
export function share(message) {
  const bytes = new Uint8Array(65);
  const id = message.id.replaceAll('-', '');
  for (let i = 0; i < 16; i += 1) bytes[i] = parseInt(id.slice(i * 2, i * 2 + 2), 16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(16, BigInt(message.seq));
  view.setBigUint64(24, BigInt(message.update));
  bytes[32] = message.deleted_at ? 0 : 1;
  bytes.set(sha256(new TextEncoder().encode(message.deleted_at ? '' : message.content)), 33);
  return number(sha256(bytes));
}

/** The sum of a conversation as of one update. It begins with the server's word and follows each change by itself. */
export class Digest {
  constructor({ update, digest }) {
    this.update = update;
    this.sum = BigInt(`0x${digest}`);
  }

  /** Takes in the change `update`, from a message's old state (`null` if it is new) to its present one. */
  apply(old, now) {
    this.sum = (this.sum + share(now) - (old ? share(old) : 0n) + MODULUS) % MODULUS;
    this.update = now.update;
  }

  /** The first 16 digits, as events have them. */
  get short() {
    return this.sum.toString(16).padStart(64, '0').slice(0, 16);
  }
}
