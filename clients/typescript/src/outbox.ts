// Messages on their way to the server. Each has a `client_id`, under which the server stores it once however often the
// client sends it. So the outbox sends every entry again until it gets an answer; those of a lane one after the other.

import { pause } from './live.js';
import { ApiError, type Schemas } from './rest.js';
import { MemoryStorage, type Entry, type OutboxStorage } from './storage.js';

type Message = Schemas['Message'];

export interface OutboxOptions {
  /** Resolves once the server has stored it. */
  deliver: (entry: Entry, keep: (entry: Entry) => Promise<void>) => Promise<Message>;
  storage?: OutboxStorage;
  /** An entry came, went, or failed. */
  onChange?: (entries: Entry[]) => void;
}

export class Outbox {
  private readonly storage: OutboxStorage;
  private readonly ending = new AbortController();
  private readonly waiting = new Map<
    string,
    { resolve: (message: Message) => void; reject: (error: unknown) => void }
  >();
  /** By lane, the entry that is being sent. */
  private readonly busy = new Map<string, string>();
  /** By lane, what ends the pause before its next try. */
  private readonly pauses = new Map<string, () => void>();
  private leads = false;
  private entries = new Map<string, Entry>();
  private last = 0;

  constructor(private readonly options: OutboxOptions) {
    this.storage = options.storage ?? new MemoryStorage();
  }

  /** Sends what an earlier run left, and what comes, as soon as this window is the one that sends. */
  start(): void {
    this.storage.listen((note) => {
      if (note.type === 'sent') this.settle(note.id, note.message);
      void this.reload();
    });
    void this.storage
      .lead(this.ending.signal)
      .then(() => {
        this.leads = true;
        return this.reload();
      })
      .catch(() => {});
    void this.reload();
  }

  stop(): void {
    this.leads = false;
    this.ending.abort();
    this.nudge();
    this.storage.close();
  }

  /** Takes in a message. It is kept once `kept` resolves; `sent` resolves with what the server stored. */
  add(
    body: Entry['body'],
    file?: { file: Blob; name: string },
  ): { id: string; kept: Promise<void>; sent: Promise<Message> } {
    const id = body.client_id ?? globalThis.crypto.randomUUID();
    const lane = body.group_id ?? body.receiver_id ?? 'broadcast';
    this.last = Math.max(this.last + 1, Date.now() * 1000);
    const entry: Entry = {
      id,
      order: this.last,
      lane,
      body: { ...body, client_id: id },
      ...(file && { file: file.file, file_name: file.name }),
    };
    const sent = new Promise<Message>((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    sent.catch(() => {}); // Whoever does not wait for it learns of failures by `onChange`.
    const kept = this.keep(entry).then(() => this.next(lane));
    return { id, kept, sent };
  }

  /** What is on its way, in order. */
  list(): Entry[] {
    return [...this.entries.values()].sort((a, b) => a.order - b.order);
  }

  /** Tries a refused entry again. */
  async again(id: string): Promise<void> {
    const entry = this.entries.get(id);
    if (!entry?.failed) return;
    const { failed: _, ...rest } = entry;
    await this.keep(rest);
    this.next(entry.lane);
  }

  /** Drops an entry that is not being sent. */
  async discard(id: string): Promise<void> {
    const entry = this.entries.get(id);
    if (!entry || (this.busy.get(entry.lane) === id && !this.pauses.has(entry.lane))) return;
    await this.drop(entry);
  }

  /** Sends at once what waits for a retry, for when the connection is back. */
  nudge(): void {
    for (const wake of [...this.pauses.values()]) wake();
  }

  private async keep(entry: Entry): Promise<void> {
    await this.storage.put(entry);
    this.entries.set(entry.id, entry);
    this.changed();
  }

  private async drop(entry: Entry): Promise<void> {
    this.entries.delete(entry.id);
    await this.storage.remove(entry.id);
    this.changed();
  }

  private changed(): void {
    this.storage.tell({ type: 'changed' });
    this.options.onChange?.(this.list());
  }

  private async reload(): Promise<void> {
    const stored = await this.storage.load();
    this.entries = new Map(stored.map((entry) => [entry.id, entry]));
    this.options.onChange?.(this.list());
    for (const { id, failed } of stored) if (failed) this.refuse(id, new ApiError(400, failed as Schemas['Error']));
    for (const lane of new Set(stored.map((entry) => entry.lane))) this.next(lane);
  }

  private settle(id: string, message: Message): void {
    this.waiting.get(id)?.resolve(message);
    this.waiting.delete(id);
  }

  private refuse(id: string, error: ApiError): void {
    this.waiting.get(id)?.reject(error);
    this.waiting.delete(id);
  }

  private next(lane: string): void {
    if (!this.leads || this.busy.has(lane)) return;
    const entry = this.list().find((other) => other.lane === lane && !other.failed);
    if (!entry) return;
    this.busy.set(lane, entry.id);
    void this.send(entry).finally(() => {
      this.busy.delete(lane);
      this.next(lane);
    });
  }

  private async send(entry: Entry, failures = 0): Promise<void> {
    try {
      const message = await this.options.deliver(entry, (changed) => this.keep(changed));
      await this.drop(entry);
      this.settle(entry.id, message);
      this.storage.tell({ type: 'sent', id: entry.id, message });
    } catch (error) {
      if (this.ending.signal.aborted) return;
      const refused = error instanceof ApiError && !error.passing && error.status !== 401 ? error : null;
      if (refused) {
        await this.keep({ ...entry, failed: { error: refused.message, code: refused.code } });
        this.refuse(entry.id, refused);
        return;
      }
      const asked = error instanceof ApiError ? error.retryAfter * 1000 : 0;
      await this.rest(entry.lane, Math.max(asked, pause(failures)));
      const still = this.entries.get(entry.id);
      if (this.leads && still) await this.send(still, failures + 1);
    }
  }

  private rest(lane: string, wait: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.pauses.delete(lane);
        resolve();
      };
      const timer = setTimeout(wake, wait);
      this.pauses.set(lane, wake);
    });
  }
}
