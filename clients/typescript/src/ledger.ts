// What a client knows of one conversation's digest: a hash a message, and their sum. It keeps no texts.

import { sha256 } from './sha256.js';

const MODULUS = 1n << 256n;
const utf8 = new TextEncoder();
const NOTHING = sha256(new Uint8Array());

/** The part of a message, or of a tombstone, that the digest covers. `content` is null of a deleted message. */
export interface Entry {
  id: string;
  seq: number;
  update: number;
  content: string | null;
}

interface Kept {
  seq: number;
  update: number;
  leaf: bigint;
}

const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const modulo = (value: bigint) => ((value % MODULUS) + MODULUS) % MODULUS;

/** A digest from its 64 digits. */
export const fromHex = (digits: string): bigint => BigInt(`0x${digits}`);
/** The 64 digits of a digest. */
export const toHex = (value: bigint): string => value.toString(16).padStart(64, '0');
/** The difference of two digests. */
export const minus = (a: bigint, b: bigint): bigint => modulo(a - b);

/** What one message adds to the digest of its conversation. */
export function leafOf({ id, seq, update, content }: Entry): bigint {
  const bytes = new Uint8Array(65);
  const digits = id.replaceAll('-', '');
  for (let i = 0; i < 16; i += 1) bytes[i] = Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(16, BigInt(seq));
  view.setBigUint64(24, BigInt(update));
  bytes[32] = content === null ? 0 : 1;
  bytes.set(content === null ? NOTHING : sha256(utf8.encode(content)), 33);
  return fromHex(hex(sha256(bytes)));
}

/**
 * The ledger of one conversation. It holds every message with a `seq` above `floor`, as of the update `known`, and those
 * below that it happened to see change. `sum` is the digest of the whole conversation, or null while the ledger cannot
 * know it: a message below the floor changed whose earlier state it never saw.
 */
export class Ledger {
  known: number;
  sum: bigint | null;
  private readonly kept = new Map<string, Kept>();

  constructor(
    readonly id: string,
    public floor: number,
  ) {
    this.known = floor;
    this.sum = floor === 0 ? 0n : null;
  }

  /** Takes in a message as it is. False if the ledger has that state, or a later one, already. */
  put(entry: Entry): boolean {
    const old = this.kept.get(entry.id);
    if (old && old.update >= entry.update) return false;
    this.set(entry);
    return true;
  }

  /** Takes in a message as it is, whatever the ledger had. False if that changes nothing. */
  set(entry: Entry): boolean {
    const old = this.kept.get(entry.id);
    const leaf = leafOf(entry);
    if (old?.leaf === leaf) return false;
    if (!old && entry.seq <= this.floor) this.sum = null;
    if (this.sum !== null) this.sum = modulo(this.sum + leaf - (old?.leaf ?? 0n));
    this.kept.set(entry.id, { seq: entry.seq, update: entry.update, leaf });
    return true;
  }

  remove(id: string): void {
    const old = this.kept.get(id);
    if (!old) return;
    this.kept.delete(id);
    if (this.sum !== null) this.sum = minus(this.sum, old.leaf);
  }

  seqOf(id: string): number | undefined {
    return this.kept.get(id)?.seq;
  }

  /** The ids that the ledger has in a range of numbers. */
  idsIn(from: number, to: number): string[] {
    return [...this.kept].filter(([, { seq }]) => seq >= from && seq <= to).map(([id]) => id);
  }

  /** The numbers below the floor whose messages changed last. */
  newestBelow(most: number): number[] {
    const below = [...this.kept.values()].filter(({ seq }) => seq <= this.floor);
    return below
      .sort((a, b) => b.update - a.update)
      .slice(0, most)
      .map(({ seq }) => seq);
  }

  /** The digest of a range of numbers above the floor. */
  part(from: number, to: number): bigint {
    let sum = 0n;
    for (const { seq, leaf } of this.kept.values()) if (seq >= from && seq <= to) sum += leaf;
    return modulo(sum);
  }

  /** The first 16 digits of the sum, as the server sends them beside an update; null if the ledger cannot know them. */
  short(): string | null {
    return this.sum === null ? null : toHex(this.sum).slice(0, 16);
  }

  /** Whether the server's 16 digits differ; what the ledger cannot know does not differ. */
  differs(short: string | undefined): boolean {
    const own = this.short();
    return short !== undefined && own !== null && own !== short;
  }

  /** Forgets everything up to `update`, and begins there. */
  restart(update: number): void {
    this.kept.clear();
    this.floor = update;
    this.known = update;
    this.sum = update === 0 ? 0n : null;
  }
}
