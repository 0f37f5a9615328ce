// Keeps a client in step with the server: counts the updates of each conversation, fills gaps, and compares digests.

import { Ledger, type Entry } from './ledger.js';
import { pause, type Frame } from './live.js';
import { Prover } from './prove.js';
import { ApiError, isPassing, type Rest, type Schemas } from './rest.js';

export type Message = Schemas['Message'];
export type Tombstone = Schemas['Tombstone'];

/** How a message came: by a live event, from the feed of changes, or in place of a state that was wrong. */
export type Via = 'live' | 'changes' | 'repair';

export interface Fault {
  conversation_id: string;
  /** Numbers were left out; a number came again; the digest differs, or cannot be proven. */
  kind: 'gap' | 'repeat' | 'digest' | 'unproven';
  update: number;
}

export interface SyncEvents {
  /** A message as it is now: new, changed, or of before. */
  message: { message: Message; via: Via };
  /** `seq` is absent where the client never saw the message. */
  deleted: { conversation_id: string; id: string; update: number; seq?: number; via: Via };
  /** The client had a message that the server does not have. */
  gone: { conversation_id: string; id: string };
  fault: Fault;
  /** After a `fault`: the client has what the server has again. `numbers` are those that were wrong, if any were. */
  repaired: { conversation_id: string; update: number; numbers: number[] };
  /** The server's history is another one: load what you show again. */
  reset: { conversation_id: string };
  /** The caller may not read the conversation any more, or it is gone. */
  lost: { conversation_id: string };
  /** The list of conversations, newest first: at the beginning, and when groups or memberships changed. */
  listed: Schemas['Conversation'][];
  /** An event whose name the client does not know. */
  unknown: Frame;
}

export interface SyncOptions {
  rest: Rest;
  emit: <Name extends keyof SyncEvents>(name: Name, value: SyncEvents[Name]) => void;
  /** How many of the latest numbers of each conversation to load at the beginning; `Infinity` for all. */
  history?: number;
  /** Up to which number an earlier run had each conversation: it goes on from there. */
  known?: Record<string, number>;
}

/** What a client that meets a conversation in the middle loads of it, at least. */
const NEW = 200;
const PAGE = 200;

export const entryOf = (change: Message | Tombstone): Entry => ({
  id: change.id,
  seq: change.seq,
  update: change.update,
  content: 'deleted_at' in change ? null : change.content,
});

export class Sync {
  readonly ledgers = new Map<string, Ledger>();
  private readonly rest: Rest;
  private readonly prover: Prover;
  private readonly pending = new Map<string, Map<number, Frame>>();
  private readonly fillings = new Map<string, Promise<void>>();
  /** By conversation, up to which number something else than a live event told this client. */
  private readonly told = new Map<string, number>();
  /** Conversations that reported a gap, until it is filled. */
  private readonly gaps = new Map<string, number>();
  /** Conversations of which a resumed connection has sent nothing with a digest yet: there a jump is not a loss. */
  private replaying: Set<string> | null = null;
  private early: Frame[] | null = [];
  private greeted = false;
  private listing: Promise<void> | null = null;
  private stopped = false;

  constructor(private readonly options: SyncOptions) {
    this.rest = options.rest;
    this.prover = new Prover(this.rest, {
      fill: (ledger) => this.fill(ledger),
      found: (change) => this.found(change, 'repair'),
      emit: options.emit,
    });
  }

  stop(): void {
    this.stopped = true;
  }

  /** By conversation, the number up to which this client has everything: the `known` of a later run. */
  known(): Record<string, number> {
    return Object.fromEntries([...this.ledgers].map(([id, ledger]) => [id, ledger.known]));
  }

  /** Takes in one frame of the live connection. */
  frame(frame: Frame): void {
    if (frame.event === 'hello') return this.hello();
    if (frame.event === 'reply') return;
    if (this.early) return void this.early.push(frame);
    if (frame.event === 'resync') return this.resync(frame);
    if (frame.conversation_id !== undefined && frame.update !== undefined) return this.counted(frame);
    if (!KNOWN.has(frame.event)) this.options.emit('unknown', frame);
  }

  private hello(): void {
    if (this.greeted) this.replaying = new Set(this.ledgers.keys());
    else void this.list();
    this.greeted = true;
  }

  private resync(frame: Frame): void {
    const ledger = this.ledgers.get(frame.conversation_id ?? '');
    if (ledger) void this.fill(ledger);
    else void this.list();
  }

  /** Reads the list of conversations, and what is new in each. */
  list(): Promise<void> {
    this.listing ??= this.readList().finally(() => {
      this.listing = null;
    });
    return this.listing;
  }

  private async readList(failures = 0): Promise<void> {
    const all: Schemas['Conversation'][] = [];
    try {
      let page = await this.rest.list('/conversations', { query: { limit: PAGE } });
      all.push(...page.items);
      while (page.next) {
        page = await page.next();
        all.push(...page.items);
      }
    } catch (error) {
      if (this.stopped || !isPassing(error)) return;
      await wait(error, failures);
      return this.readList(failures + 1);
    }
    if (this.stopped) return;
    this.options.emit('listed', all);
    const filling = all.map((conversation) => this.compare(conversation));
    for (const frame of this.early?.splice(0) ?? []) {
      this.early = null;
      this.frame(frame);
    }
    this.early = null;
    await Promise.all(filling);
  }

  private async compare({ id, update, digest }: Schemas['Conversation']): Promise<void> {
    const ledger =
      this.ledgers.get(id) ??
      this.begin(id, this.options.known?.[id] ?? Math.max(0, update - (this.options.history ?? 0)));
    if (update > ledger.known) return this.fill(ledger);
    if (update === ledger.known && ledger.differs(digest)) await this.mend(ledger);
  }

  private begin(id: string, floor: number): Ledger {
    const ledger = new Ledger(id, floor);
    this.ledgers.set(id, ledger);
    this.told.set(id, floor);
    return ledger;
  }

  /** A frame that has a number. */
  private counted(frame: Frame): void {
    const id = frame.conversation_id!;
    const update = frame.update!;
    const met = this.ledgers.get(id);
    const ledger = met ?? this.begin(id, Math.max(0, update - 1 - Math.max(NEW, this.options.history ?? 0)));
    const replayed = this.replaying?.has(id) ?? false;
    if (frame.digest !== undefined) this.replaying?.delete(id);
    if (update <= ledger.known) {
      if (!replayed && update > (this.told.get(id) ?? 0)) this.repeated(id, update);
    } else if (update === ledger.known + 1) {
      this.apply(ledger, frame, update);
      this.drain(ledger);
    } else {
      const pending = this.pending.get(id) ?? new Map<number, Frame>();
      if (pending.has(update) && !replayed) this.repeated(id, update);
      this.pending.set(id, pending.set(update, frame));
      if (met && !replayed) this.missed(ledger, update);
      void this.fill(ledger);
    }
  }

  private repeated(id: string, update: number): void {
    this.options.emit('fault', { conversation_id: id, kind: 'repeat', update });
  }

  private missed(ledger: Ledger, update: number): void {
    if (!this.gaps.has(ledger.id)) this.options.emit('fault', { conversation_id: ledger.id, kind: 'gap', update });
    this.gaps.set(ledger.id, Math.max(update, this.gaps.get(ledger.id) ?? 0));
  }

  /** Applies the frames that waited for those before them. */
  private drain(ledger: Ledger): void {
    const pending = this.pending.get(ledger.id);
    if (!pending) return;
    for (const update of [...pending.keys()].sort((a, b) => a - b)) {
      if (update > ledger.known + 1) break;
      if (update === ledger.known + 1) this.apply(ledger, pending.get(update)!, update);
      pending.delete(update);
    }
    if (pending.size === 0) this.pending.delete(ledger.id);
  }

  /** The next number of a conversation. */
  private apply(ledger: Ledger, frame: Frame, update: number): void {
    const data = frame.data as Partial<Message>;
    const whole = typeof data?.id === 'string' && typeof data.seq === 'number' && typeof data.content === 'string';
    if (frame.event === 'message.deleted' && typeof data?.id === 'string') {
      this.erase(ledger, data.id, update);
    } else if (whole) {
      // Also what an event that this client does not know says of a message.
      ledger.put(entryOf(data as Message));
      this.options.emit('message', { message: data as Message, via: 'live' });
    } else {
      // It counts as that update; the feed tells what it did, if it did anything to a message.
      this.options.emit('unknown', frame);
      ledger.known = update;
      ledger.sum = null;
      return void this.look(ledger, update);
    }
    ledger.known = update;
    if (ledger.differs(frame.digest)) void this.mend(ledger);
    else if (ledger.sum === null) void this.prover.prove(ledger);
  }

  private erase(ledger: Ledger, id: string, update: number): void {
    const seq = ledger.seqOf(id);
    if (seq === undefined) ledger.sum = null;
    else ledger.put({ id, seq, update, content: null });
    this.options.emit('deleted', {
      conversation_id: ledger.id,
      id,
      update,
      ...(seq !== undefined && { seq }),
      via: 'live',
    });
  }

  private async look(ledger: Ledger, update: number): Promise<void> {
    try {
      const page = await this.changes(ledger.id, update - 1, 1);
      for (const change of page.messages) if (ledger.put(entryOf(change))) this.found(change, 'changes');
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
    await this.prover.prove(ledger);
  }

  private found(change: Message | Tombstone, via: Via): void {
    if ('deleted_at' in change) {
      const { conversation_id, id, seq, update } = change;
      this.options.emit('deleted', { conversation_id, id, seq, update, via });
    } else {
      this.options.emit('message', { message: change, via });
    }
  }

  private changes(id: string, after: number, limit: number): Promise<Schemas['Changes']> {
    return this.rest.call('get', '/conversations/{id}/changes', { path: { id }, query: { after, limit } });
  }

  /** Reads the feed of changes until nothing is missing. */
  fill(ledger: Ledger): Promise<void> {
    const running =
      this.fillings.get(ledger.id) ?? this.readChanges(ledger).finally(() => this.fillings.delete(ledger.id));
    this.fillings.set(ledger.id, running);
    return running;
  }

  private async readChanges(ledger: Ledger, failures = 0): Promise<void> {
    try {
      for (let more = true; more && !this.stopped;) {
        const before = ledger.known;
        const page = await this.changes(ledger.id, before, PAGE);
        this.takePage(ledger, page);
        const wanted = Math.max(0, ...(this.pending.get(ledger.id)?.keys() ?? []));
        more = page.more || (wanted > ledger.known && page.update > before);
      }
    } catch (error) {
      if (this.stopped) return;
      if (error instanceof ApiError && error.status === 404) return this.lose(ledger);
      if (!isPassing(error)) return;
      await wait(error, failures);
      return this.readChanges(ledger, failures + 1);
    }
    // A number that no feed has yet: another node is a moment ahead of the one that answered.
    if (this.pending.has(ledger.id) && !this.stopped && failures < 20) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return this.readChanges(ledger, failures + 1);
    }
    const gap = this.gaps.get(ledger.id);
    if (gap === undefined) return;
    this.gaps.delete(ledger.id);
    // Not awaited: the proof may itself want the feed.
    void this.mended(ledger, gap);
  }

  private async mended(ledger: Ledger, update: number): Promise<void> {
    if (ledger.sum === null && !(await this.prover.prove(ledger))) return;
    this.options.emit('repaired', { conversation_id: ledger.id, update, numbers: [] });
  }

  private takePage(ledger: Ledger, page: Schemas['Changes']): void {
    for (const change of page.messages) {
      if (change.update <= ledger.known) continue;
      ledger.known = change.update;
      if (ledger.put(entryOf(change))) this.found(change, 'changes');
    }
    const before = ledger.known;
    ledger.known = Math.max(before, page.update);
    this.told.set(ledger.id, Math.max(page.update, this.told.get(ledger.id) ?? 0));
    if (page.update === ledger.known && ledger.differs(page.digest)) void this.mend(ledger);
    this.drain(ledger);
  }

  private lose(ledger: Ledger): void {
    this.ledgers.delete(ledger.id);
    this.pending.delete(ledger.id);
    this.gaps.delete(ledger.id);
    this.options.emit('lost', { conversation_id: ledger.id });
  }

  private mend(ledger: Ledger): Promise<boolean> {
    this.prover.fault(ledger);
    return this.prover.prove(ledger);
  }

  /** Compares a conversation with the server, whatever its events said; repairs it. Whether both are the same now. */
  async verify(id: string): Promise<boolean> {
    const ledger = this.ledgers.get(id);
    if (!ledger) return false;
    await this.fill(ledger);
    return this.prover.prove(ledger);
  }

  /** Loads the messages of a conversation from the number `from` on, and proves them too from then on. */
  async load(id: string, from = 1): Promise<boolean> {
    const ledger = this.ledgers.get(id) ?? this.begin(id, from - 1);
    if (from - 1 < ledger.floor) ledger.restart(from - 1);
    return this.verify(id);
  }
}

const KNOWN = new Set([
  'message.seen',
  'conversation.read',
  'group.updated',
  'group.deleted',
  'member.added',
  'member.updated',
  'member.removed',
  'typing',
  'presence',
  'pong',
  'conversation.settings',
  'conversation.draft',
  'conversation.unread',
  'webhook.disabled',
]);

const wait = (error: unknown, failures: number) =>
  new Promise((resolve) => {
    setTimeout(resolve, Math.max(error instanceof ApiError ? error.retryAfter * 1000 : 0, pause(failures)));
  });
