// Where an outbox keeps its entries, and which of several windows sends them.

import type { Schemas } from './rest.js';

/** A message on its way. */
export interface Entry {
  /** The `client_id`, under which the server stores the message once. */
  id: string;
  /** Entries of a lane are sent one after the other, in this order. */
  order: number;
  lane: string;
  body: Schemas['Send'] & { broadcast?: boolean };
  file?: Blob;
  file_name?: string;
  failed?: { error: string; code: string };
}

/** What windows that share an outbox tell each other. */
export type Note = { type: 'changed' } | { type: 'sent'; id: string; message: Schemas['Message'] };

export interface OutboxStorage {
  /** All entries, in any order. */
  load(): Promise<Entry[]>;
  put(entry: Entry): Promise<void>;
  remove(id: string): Promise<void>;
  /** Resolves once this window is the one that sends; it stays so until `signal` is aborted, or the window is gone. */
  lead(signal: AbortSignal): Promise<void>;
  tell(note: Note): void;
  listen(heard: (note: Note) => void): void;
  close(): void;
}

/** Entries that end with the program. */
export class MemoryStorage implements OutboxStorage {
  private readonly entries = new Map<string, Entry>();
  async load() {
    return [...this.entries.values()];
  }
  async put(entry: Entry) {
    this.entries.set(entry.id, entry);
  }
  async remove(id: string) {
    this.entries.delete(id);
  }
  async lead() {}
  tell() {}
  listen() {}
  close() {}
}

const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/**
 * Entries in IndexedDB, one record each. All windows that open the same name share one outbox: whoever holds the Web Lock
 * of that name sends. Give each user a name of their own.
 */
export class IndexedDbStorage implements OutboxStorage {
  private readonly opened: Promise<IDBDatabase>;
  private readonly channel: BroadcastChannel;

  constructor(private readonly name: string) {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore('outbox', { keyPath: 'id' });
    this.opened = done(request);
    this.channel = new BroadcastChannel(name);
  }

  private async store(mode: IDBTransactionMode): Promise<IDBObjectStore> {
    return (await this.opened).transaction('outbox', mode).objectStore('outbox');
  }

  async load(): Promise<Entry[]> {
    return done((await this.store('readonly')).getAll());
  }

  async put(entry: Entry): Promise<void> {
    await this.write((store) => store.put(entry));
  }

  async remove(id: string): Promise<void> {
    await this.write((store) => store.delete(id));
  }

  /** Resolves once the transaction is complete, and not before: only then another window sees it. */
  private async write(act: (store: IDBObjectStore) => void): Promise<void> {
    const store = await this.store('readwrite');
    await new Promise<void>((resolve, reject) => {
      store.transaction.oncomplete = () => resolve();
      store.transaction.onabort = () => reject(store.transaction.error);
      act(store);
    });
  }

  lead(signal: AbortSignal): Promise<void> {
    // Browsers have no locks on pages without HTTPS. There every window sends; the server stores each message once.
    if (!globalThis.navigator?.locks) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const hold = () =>
        new Promise<void>((release) => {
          signal.addEventListener('abort', () => release(), { once: true });
          resolve();
        });
      navigator.locks.request(`${this.name}.outbox`, { signal }, hold).catch(reject);
    });
  }

  tell(note: Note): void {
    this.channel.postMessage(note);
  }

  listen(heard: (note: Note) => void): void {
    this.channel.onmessage = ({ data }) => heard(data as Note);
  }

  close(): void {
    this.channel.close();
    void this.opened.then((database) => database.close());
  }
}
