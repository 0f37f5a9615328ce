// Proves that a ledger has what the server has, and repairs it where it has not.

import { fromHex, Ledger, minus } from './ledger.js';
import { ApiError, type Rest, type Schemas } from './rest.js';
import { entryOf, type SyncEvents } from './sync.js';

/** The longest part whose digest the server computes. */
const LONGEST = 100_000;
/** If more parts than this differ, the client reads them again instead of halving them further. */
const MANY = 32;
const ROUNDS = 12;
/** How many messages below the floor, those that changed last, a repair looks at. */
const BELOW = 50;

type Change = Schemas['Change'];

export interface ProverOptions {
  fill: (ledger: Ledger) => Promise<void>;
  /** A message whose state here was wrong. */
  found: (change: Change) => void;
  emit: <Name extends keyof SyncEvents>(name: Name, value: SyncEvents[Name]) => void;
}

interface Part {
  from: number;
  to: number;
  digest: bigint;
}

export class Prover {
  private readonly faults = new Set<string>();
  private readonly running = new Map<string, Promise<boolean>>();

  constructor(
    private readonly rest: Rest,
    private readonly options: ProverOptions,
  ) {}

  /** Says that a conversation's digest differs, once until it is repaired. */
  fault(ledger: Ledger): void {
    if (this.faults.has(ledger.id)) return;
    this.faults.add(ledger.id);
    this.options.emit('fault', { conversation_id: ledger.id, kind: 'digest', update: ledger.known });
  }

  /** Whether the ledger has what the server has, after repairing it if need be. */
  prove(ledger: Ledger): Promise<boolean> {
    const running =
      this.running.get(ledger.id) ??
      this.rounds(ledger)
        .catch((error: unknown) => {
          if (!(error instanceof ApiError)) throw error;
          return false; // Out of reach, or not to be read any more: the next event asks again.
        })
        .finally(() => this.running.delete(ledger.id));
    this.running.set(ledger.id, running);
    return running;
  }

  private async rounds(ledger: Ledger): Promise<boolean> {
    const numbers = new Set<number>();
    let tried = false;
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = ledger.known;
      const whole = await this.digest(ledger);
      if (whole.update > ledger.known) {
        await this.options.fill(ledger);
      } else if (whole.update < ledger.known) {
        if (ledger.known === before) this.restart(ledger, whole.update);
      } else if (await this.same(ledger, whole)) {
        ledger.sum = fromHex(whole.digest);
        if (this.faults.delete(ledger.id) || numbers.size > 0) this.repaired(ledger, numbers);
        return true;
      } else if (ledger.known === whole.update) {
        tried = true;
        this.fault(ledger);
        for (const number of await this.repair(ledger)) numbers.add(number);
      }
    }
    // Without a try there were only changes faster than answers: the next event asks again.
    if (tried) this.options.emit('fault', { conversation_id: ledger.id, kind: 'unproven', update: ledger.known });
    return false;
  }

  private repaired(ledger: Ledger, numbers: Set<number>): void {
    const sorted = [...numbers].sort((a, b) => a - b);
    this.options.emit('repaired', { conversation_id: ledger.id, update: ledger.known, numbers: sorted });
  }

  /** The server has less than the client saw: somebody restored an earlier state. */
  private restart(ledger: Ledger, update: number): void {
    ledger.restart(update);
    this.options.emit('reset', { conversation_id: ledger.id });
  }

  /** Whether what the ledger has is the server's, at the update of `whole`. */
  private async same(ledger: Ledger, whole: Schemas['RangeDigest']): Promise<boolean> {
    if (ledger.floor === 0) return ledger.part(1, ledger.known) === fromHex(whole.digest);
    for (const { from, to } of slices(ledger.floor + 1, ledger.known)) {
      const part = await this.digest(ledger, from, to);
      if (ledger.part(from, to) !== fromHex(part.digest)) return false;
    }
    if (ledger.known !== whole.update) return false;
    // Of what lies below the floor the ledger knows the sum alone, and those messages that it saw change.
    const below = ledger.sum === null || ledger.sum === fromHex(whole.digest);
    if (!below) ledger.sum = null;
    return below;
  }

  private digest({ id }: Ledger, from?: number, to?: number): Promise<Schemas['RangeDigest']> {
    const query = from === undefined || to === undefined ? {} : { from, to };
    return this.rest.call('get', '/conversations/{id}/digest', { path: { id }, query });
  }

  /**
   * Finds what differs, and reads it again. Changes that happen meanwhile can at worst make it read a message too many,
   * or leave one to the next round.
   */
  private async repair(ledger: Ledger): Promise<number[]> {
    const parts: Part[] = [];
    for (const { from, to } of slices(ledger.floor + 1, ledger.known)) {
      const { digest } = await this.digest(ledger, from, to);
      parts.push({ from, to, digest: fromHex(digest) });
    }
    for (const number of ledger.newestBelow(BELOW)) {
      const { digest } = await this.digest(ledger, number, number);
      parts.push({ from: number, to: number, digest: fromHex(digest) });
    }
    let differing = parts.filter((part) => differs(ledger, part));
    while (differing.length <= MANY && differing.some(({ from, to }) => from < to)) {
      differing = (await this.halves(ledger, differing)).filter((part) => differs(ledger, part));
    }
    const numbers: number[] = [];
    for (const part of differing) numbers.push(...(await this.reread(ledger, part)));
    return numbers;
  }

  private async halves(ledger: Ledger, parts: Part[]): Promise<Part[]> {
    const halves: Part[] = [];
    for (const part of parts) {
      const { from, to } = part;
      if (from === to) {
        halves.push(part);
        continue;
      }
      const middle = (from + to) >> 1;
      const digest = fromHex((await this.digest(ledger, from, middle)).digest);
      halves.push({ from, to: middle, digest }, { from: middle + 1, to, digest: minus(part.digest, digest) });
    }
    return halves;
  }

  /** Takes a part as the server has it. The numbers that changed. */
  private async reread(ledger: Ledger, { from, to }: Part): Promise<number[]> {
    const { messages, digest } = await this.digest(ledger, from, to);
    const before = new Set(ledger.idsIn(from, to));
    const changed = new Set<number>();
    const take = (change: Change) => {
      before.delete(change.id);
      if (!ledger.set(entryOf(change))) return;
      changed.add(change.seq);
      this.options.found(change);
    };
    const whole = () => ledger.part(from, to) === fromHex(digest);
    if (from === to && messages === 1) await this.readOne(ledger, from, take);
    let left = whole() ? 0 : messages;
    for (let after = from - 1, more = left > 0; more && left > 0;) {
      const page = await this.rest.call('get', '/conversations/{id}/changes', {
        path: { id: ledger.id },
        query: { after, limit: 200 },
      });
      for (const change of page.messages) {
        if (change.seq < from || change.seq > to) continue;
        left -= 1;
        take(change);
      }
      ({ update: after, more } = page);
    }
    if (!whole()) for (const id of before) this.remove(ledger, id, changed);
    return [...changed];
  }

  /** Reads a message that is here, in a wrong state: the feed may have it far from its number. */
  private async readOne(ledger: Ledger, number: number, take: (change: Change) => void): Promise<void> {
    const id = ledger.idsIn(number, number)[0];
    if (id === undefined) return;
    try {
      const message = await this.rest.call('get', '/messages/{id}', { path: { id } });
      if (message.seq === number) take(message);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
  }

  private remove(ledger: Ledger, id: string, changed: Set<number>): void {
    changed.add(ledger.seqOf(id) ?? 0);
    ledger.remove(id);
    this.options.emit('gone', { conversation_id: ledger.id, id });
  }
}

const differs = (ledger: Ledger, { from, to, digest }: Part) => ledger.part(from, to) !== digest;

/** A range of numbers in parts whose digest the server computes. */
function slices(from: number, to: number): { from: number; to: number }[] {
  const all = [];
  for (let at = from; at <= to; at += LONGEST) all.push({ from: at, to: Math.min(to, at + LONGEST - 1) });
  return all;
}
